"""Shorter runs that trials go on from: under `wsd` more epochs are no new beginning."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from handssl.sweep.plan import PlannedTrial
from handssl.tracking.ledger import Ledger
from handssl.training.branch import is_shorter


def origins(trials: Iterable[PlannedTrial], ledger: Ledger) -> dict[str, Path]:
    """Return for each trial the folder of the same run with fewer epochs, where there is one.

    Of several the one that has come farthest. Whether its state can be used the trial itself
    sees: data and learning rate have to be the same so far.

    Args:
        trials: Any.
        ledger: The record of all runs.
    """
    able = [t for t in trials if t.kind == "trial" and t.config.optimizer.schedule == "wsd"]
    if not able:
        return {}
    known = sorted(ledger.all(), key=lambda record: record.epoch)
    found = {}
    for trial in able:
        config = trial.config.model_dump(mode="json")
        for record in known:
            if record.config and is_shorter(record.config, config):
                found[trial.trial_id] = ledger.folder(record.trial_id)
    return found
