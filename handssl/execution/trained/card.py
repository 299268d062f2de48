"""Card of a trial's model: its record, and its errors on `test` with an interval."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from handssl.errors import HandsslError
from handssl.execution.trained.predictions import of_record
from handssl.inference.card import CardError, ModelCard
from handssl.ledger.record import TrialRecord
from handssl.pose import ALIGNED_PROTOCOL, PRIMARY_PROTOCOL
from handssl.pose.hand_errors import HandErrors
from handssl.runtime.installation import version_label
from handssl.stats.bootstrap import group_weights, resampled, uncertain

RESAMPLES, SEED = 2000, 0
_FEWEST_GROUPS = 5
_MEASURES = {
    PRIMARY_PROTOCOL: ("median, root-relative, true depth of the wrist", "test_median_mm"),
    ALIGNED_PROTOCOL: ("median after Procrustes alignment", "test_aligned_median_mm"),
}


def card_of(record: TrialRecord, storage: Path, *, intervals: bool = True) -> ModelCard:
    """Return the card of a trial's model.

    Args:
        record: Record of the trial.
        storage: Folder of the results.
        intervals: Whether to compute intervals from the kept predictions; where their labels are
            missing, errors have none.
    """
    data = "procedural" if "data_labelled" not in record.tags else ""
    return ModelCard(
        name=record.trial_id,
        study=record.study,
        objective=record.objective,
        composition=record.composition,
        seed=record.block,
        epochs=record.epochs,
        pretrained_on=record.tags.get("data_pretrain", record.tags.get("data_labelled", data)),
        labels=record.tags.get("data_labelled", data),
        errors=_errors(record, storage, intervals),
        notes=_notes(record),
        made_with=f"handssl {version_label()}",
    )


def _notes(record: TrialRecord) -> tuple[str, ...]:
    labelled = record.tags.get("data_labelled", "procedural").partition(" ")[0]
    if labelled != "procedural":
        return ()
    return ("Labels are of procedural hands only; on photos of real hands errors are not known.",)


def _errors(record: TrialRecord, storage: Path, intervals: bool) -> tuple[CardError, ...]:
    found = {}
    if intervals:
        with suppress(HandsslError):  # no predictions, or their labels are elsewhere
            kept = of_record(record, storage)
            found = {name: with_interval(kept.errors("test", name), name) for name in _MEASURES}
    plain = {
        name: CardError(what=what, mm=record.metrics[metric])
        for name, (what, metric) in _MEASURES.items()
        if metric in record.metrics
    }
    return tuple((plain | found).values())


def with_interval(errors: HandErrors, protocol: str) -> CardError:
    """Return the median error of hands with a 95 % interval for other hands.

    Hands are resampled by group (subject, recording or frame), or one by one with fewer than five
    groups, see `handssl.stats.bootstrap`.

    Args:
        errors: Error of every hand and joint.
        protocol: Id of the protocol.
    """
    names, numbers = np.unique(errors.groups, return_inverse=True)
    unit = "groups of hands"
    if len(names) < _FEWEST_GROUPS or len(names) == len(errors.ids):
        names, numbers, unit = np.arange(len(errors.ids)), np.arange(len(errors.ids)), "hands"
    weights = group_weights(len(names), RESAMPLES, np.random.default_rng(SEED))
    values = resampled(errors.errors, numbers, weights, "median")
    found = uncertain(values[None], np.random.default_rng(SEED), groups=len(names))
    low, high = found.hands
    what = _MEASURES[protocol][0]
    interval = f"95 %, for other {unit}, this seed"
    hands = len(errors.ids)
    return CardError(what=what, mm=found.mm, low=low, high=high, interval=interval, hands=hands)
