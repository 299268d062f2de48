"""Predictions of finished trials: read, compared with the labels, or made again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from handssl.data.sample import Split
from handssl.data.splits import StudyData, combine, combine_union, pretraining_images
from handssl.data.store import PackedSplit, PackedStore
from handssl.data.stores import find_store, named_store
from handssl.errors import DataError, InputError
from handssl.evaluation.kept_probe import FILE as PROBE
from handssl.evaluation.predictions import FILE, Predictions, TrialPredictions, decode
from handssl.evaluation.probe import errors_of_hands
from handssl.execution.storage import resolve_storage
from handssl.execution.trial_files import (
    encoder_file,
    labelled_store,
    named_trial,
    predictions_file,
)
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.ledger.references import reference_of
from handssl.pose import PRIMARY_PROTOCOL, Protocol
from handssl.pose.hand_errors import HandErrors

_AGAIN = "the same `handssl finetune` or `study run` writes again, from the last checkpoint"


@dataclass(frozen=True, eq=False)
class KeptPredictions:
    """Last predictions of a trial or reference, with the labels they are compared with.

    Attributes:
        record: Record of the trial.
        content: Content of its file.
        store: Packed store of the labels.
    """

    record: TrialRecord
    content: TrialPredictions
    store: PackedStore

    def of(self, split: Split = "test") -> Predictions:
        """Return the predictions of a split.

        Raises:
            InputError: The split is not `select` or `test`.
        """
        if split not in self.content.splits:
            raise InputError(f"split: expected {' or '.join(self.content.splits)}, got {split!r}")
        return self.content.splits[split]

    def labels(self, split: Split = "test") -> PackedSplit:
        """Return crops and labels of a split, in the order of the predictions."""
        return self._labels[split]

    def errors(
        self, split: Split = "test", protocol: Protocol | str = PRIMARY_PROTOCOL
    ) -> HandErrors:
        """Return the error of every hand and joint, computed in float64.

        Args:
            split: `select` or `test`.
            protocol: Id of a known protocol, or a `handssl.pose.Protocol` of your own.

        Raises:
            InputError: The split or the protocol is unknown.
        """
        return errors_of_hands(self.of(split).columns, self.labels(split), protocol)

    @cached_property
    def _labels(self) -> dict[Split, PackedSplit]:
        found = {name: self.store.split(name) for name in self.content.splits}
        for name, split in found.items():
            ids = self.content.splits[name].ids
            same = self.content.data == self.store.manifest.fingerprint
            if not same or len(ids) != len(split) or (ids != split.label("ids")).any():
                raise DataError(
                    f"{self.store.folder}: expected the labels of data {self.content.data}, which "
                    f"trial {self.record.trial_id} predicted, found other ones"
                )
        return found


def read_predictions(
    trial: str, storage: Path | str | None = None, *, store: Path | str | None = None
) -> KeptPredictions:
    """Read the last predictions of a completed trial or reference.

    Args:
        trial: Id of the trial, or the start of it.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        store: Packed data with the labels, by folder, name or fingerprint; default: the trial's.

    Raises:
        InputError: No trial or store, or more than one, has that name.
        DataError: The trial has no file of predictions, or it is damaged.

    Example:
        ```python
        kept = handssl.read_predictions("3f2a")
        errors = kept.errors("test", "pa_21")
        errors.statistic("median"), errors.auc, errors.per_joint, errors.ids[errors.ranked[-5:]]
        ```
    """
    root = resolve_storage(storage)
    ledger = Ledger.existing(root)
    return of_record(named_trial(trial, ledger), root, store=store)


def of_record(
    record: TrialRecord, storage: Path, *, store: Path | str | None = None
) -> KeptPredictions:
    """Read the predictions of a trial whose record is known; see `read_predictions`."""
    path = predictions_file(storage / "trials" / record.trial_id)
    content = decode(path.read_bytes(), where=str(path))
    return KeptPredictions(record, content, PackedStore(_folder(record, storage, store)))


def make_predictions(trials: Sequence[str], storage: Path) -> Iterator[tuple[TrialRecord, str]]:
    """Make the missing files of completed trials again: one fit of the ridge probe each.

    The files are the predictions and, except for references, the probe.

    Args:
        trials: Starts of trial ids; none: all completed trials of the storage without a file.
        storage: Folder of the results.

    Yields:
        The record of each trial, and what was done, in words.

    Raises:
        InputError: No trial or dataset, or more than one, has that name.
        DataError: A trial is not completed, or has no encoder.
    """
    ledger = Ledger.existing(storage)
    records = [named_trial(name, ledger) for name in trials] or [
        record for record in ledger.all() if record.outcome == "completed"
    ]
    for record in records:
        folder = ledger.folder(record.trial_id)
        if _is_whole(record, folder):
            if trials:
                yield record, "has them already"
            continue
        if record.config.get("finetune"):
            yield record, f"left out: its own head predicts, which {_AGAIN}"
            continue
        with _data_of(record, storage) as data:
            _make(record, data, folder)
        yield record, "made"


def _is_whole(record: TrialRecord, folder: Path) -> bool:
    files = (FILE,) if reference_of(record.cell) else (FILE, PROBE)
    return all((folder / name).is_file() for name in files)


def _make(record: TrialRecord, data: StudyData, folder: Path) -> None:
    from handssl.evaluation.references import measure_reference
    from handssl.models import build_encoder
    from handssl.training.config import PretrainConfig
    from handssl.training.kept_predictions import keep_in, predict_again
    from handssl.training.kept_probe import keep_probe_in
    from handssl.training.weights import load_weights

    config, keep = PretrainConfig.parse(record.config), keep_in(folder, data)
    if reference := reference_of(record.cell):
        measure_reference(
            reference.kind,
            config.encoder,
            data,
            seed=record.block,
            augmentation=config.augmentation,
            init=config.init,
            storage=folder.parent.parent,
            keep=keep,
        )
        return
    encoder = build_encoder(config.encoder)
    load_weights(encoder, encoder_file(folder))
    predict_again(
        encoder,
        data,
        config,
        objective=None,
        keep=None if (folder / FILE).is_file() else keep,
        keep_probe=keep_probe_in(folder, data, config.encoder),
    )


@contextmanager
def _data_of(record: TrialRecord, storage: Path) -> Iterator[StudyData]:
    """Open the data of a trial: its labels, and the images it was pretrained on."""
    labelled = _folder(record, storage, None)
    if shares := json.loads(record.tags.get("data_shares", "[]")):
        named = (record.tags[f"data_pretrain_{n}"].split(" ") for n in range(len(shares)))
        sources = [find_store(dataset, fingerprint, storage) for dataset, fingerprint in named]
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            images = pretraining_images(labelled)
            yield StudyData(
                combine_union(
                    place,
                    labelled=labelled,
                    pretrain=sources,
                    shares=shares,
                    epoch_images=images,
                )
            )
        return
    dataset, _, fingerprint = record.tags.get("data_pretrain", "").partition(" ")
    pretrain = find_store(dataset, fingerprint, storage) if fingerprint else labelled
    if pretrain.resolve() == labelled.resolve():
        yield StudyData(labelled)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield StudyData(combine(Path(folder), labelled=labelled, pretrain=pretrain))


def _folder(record: TrialRecord, storage: Path, store: Path | str | None) -> Path:
    if store is not None:
        return named_store(Path(store), storage).folder
    found = labelled_store(record, storage)
    if found is None:
        raise InputError(
            f"trial {record.trial_id}: its record does not name its data; name the packed data "
            "with --store"
        )
    return found
