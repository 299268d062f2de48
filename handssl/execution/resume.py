"""Lookup of a run to resume, by its trial, its folder or its MLflow run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handssl.config import nearest
from handssl.data.config import PackedData
from handssl.errors import InputError
from handssl.execution.recorder import FINISHED
from handssl.execution.storage import default_tracking_uri, resolve_storage
from handssl.execution.trial_files import RunFile
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.study.run_config import RunConfig
from handssl.tracking.conventions import flatten
from handssl.training.config import PretrainConfig

_SHOWN = 5


@dataclass(frozen=True)
class Resumed:
    """A run to be resumed.

    Attributes:
        run: Settings of the run.
        record: Current record of its trial.
        storage: Folder of the results.
        tracking_uri: URI of its MLflow store.
    """

    run: RunConfig
    record: TrialRecord
    storage: Path
    tracking_uri: str

    @property
    def is_finished(self) -> bool:
        """Whether the run is over."""
        return self.record.outcome in FINISHED


def resume(
    name: str,
    *,
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    given: RunConfig | None = None,
    changes: dict[str, Any] | None = None,
) -> Resumed:
    """Find a run by its name and read its settings from its storage.

    Args:
        name: A trial's id or its beginning, the path of its folder, or the id of its MLflow run.
        storage: Folder of the results; default: that of the path, HANDSSL_HOME, ./handssl-runs.
        tracking_uri: MLflow store; default: the one the run was recorded in.
        given: Settings that the caller also gives; they must be the same.
        changes: Dotted keys that the caller sets; they must not change anything.

    Returns:
        The run.

    Raises:
        InputError: No run or more than one has that name, or other settings are given.
        DataError: The file with its settings cannot be read.
    """
    folder = resolve_storage(_storage_of(name, storage))
    store = Ledger.existing(folder)
    record = find_run(Path(name).resolve().name if _is_folder(name) else name, store)
    if record.objective == "reference":
        raise InputError(f"--resume {name}: expected a run, {record.cell} is a reference")
    file = RunFile.find(store.folder(record.trial_id))
    known = _known(record, file, given)
    _require_same(known, (given or known).merged(changes or {}), record.trial_id)
    uri = tracking_uri or (file.tracking_uri if file else None) or default_tracking_uri(folder)
    return Resumed(known, record, folder, uri)


def require_trial(found: str, expected: str | None) -> None:
    """Require that settings and data give the trial to be resumed.

    Raises:
        InputError: They give another trial.
    """
    if expected is not None and found != expected:
        raise InputError(
            f"--resume {expected}: expected the data and the version of handssl the run was "
            f"started with, with the current ones it is trial {found}; restore the data, or start "
            "a new run with CONFIG"
        )


def _is_folder(name: str) -> bool:
    return Path(name).is_dir() and Path(name).resolve().parent.name == "trials"


def _storage_of(name: str, storage: Path | str | None) -> Path | str | None:
    if not _is_folder(name):
        return storage
    own = Path(name).resolve().parent.parent
    if storage is not None and resolve_storage(storage) != own:
        raise InputError(
            f"--resume {name}: it is in the storage {own}, --storage is {storage}; "
            "leave --storage out"
        )
    return own


def find_run(name: str, store: Ledger, *, asked: str = "--resume") -> TrialRecord:
    """Return the record of a run.

    Args:
        name: Its trial id or the beginning of that, or the id of its MLflow run.
        store: Ledger of the storage.
        asked: Name of the option that names the run, for messages.

    Raises:
        InputError: No run or more than one has that name.
    """
    records = store.all()
    exact = [record for record in records if name in (record.trial_id, record.mlflow_run_id)]
    found = exact or [record for record in records if name and record.trial_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{asked} {name}: expected one run, {len(found)} in {store.storage} match:\n"
            + _listed(found)
        )
    there = f"it contains:\n{_listed(records)}" if records else "it contains none"
    near = nearest(name, [record.trial_id[: len(name)] for record in records])
    hint = near if near.startswith("; did") else ""  # the existing ones are listed anyway
    raise InputError(
        f"{asked} {name}: expected a trial's id or its beginning, its folder or its MLflow run "
        f"id, found no such run in {store.storage}{hint}; {there}"
    )


def _listed(records: tuple[TrialRecord, ...] | list[TrialRecord]) -> str:
    lines = [
        f"  {r.trial_id}  {r.cell}, block {r.block}: {r.outcome}, epoch {r.epoch} of {r.epochs}"
        for r in records[:_SHOWN]
    ]
    rest = len(records) - _SHOWN
    return "\n".join([*lines, *([f"  and {rest} more"] if rest > 0 else [])])


def _known(record: TrialRecord, file: RunFile | None, given: RunConfig | None) -> RunConfig:
    """Return the run's settings; for a study's trial, with the data by its fingerprint."""
    if file is not None:
        return file.run
    pretrain = PretrainConfig.parse(record.config, where=f"the record of trial {record.trial_id}")
    if given is not None:
        return given.model_copy(update={"pretrain": pretrain, "name": record.study})
    dataset, _, fingerprint = record.tags.get("data_labelled", "").partition(" ")
    if record.tags.get("data_pretrain") != record.tags.get("data_labelled"):
        fingerprint = ""
    if dataset == "procedural" or not fingerprint:
        raise InputError(
            f"--resume {record.trial_id}: its record does not name its data; give CONFIG too, "
            f"or run the study {record.study} again, which continues it"
        )
    data = PackedData.parse({"name": dataset, "fingerprint": fingerprint[:32]})
    return RunConfig(name=record.study, data=data, pretrain=pretrain)


def _require_same(known: RunConfig, asked: RunConfig, trial_id: str) -> None:
    ours, theirs = (flatten(run.model_dump(mode="json")) for run in (known, asked))
    names = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
    # Without a digest the current file is asked for, whatever it contains; `pretrain` checks it.
    unread = () if theirs.get("pretrain.init.digest") else ("pretrain.init.digest",)
    names = [name for name in names if name not in ("name", *unread)]
    if names:
        lines = [f"  {n}: {ours.get(n)} in the run, {theirs.get(n)} asked for" for n in names]
        raise InputError(
            f"--resume {trial_id}: expected no other settings than those of the run, got "
            f"{len(names)}; leave CONFIG and --set out, or start a new run without --resume:\n"
            + "\n".join(lines)
        )
