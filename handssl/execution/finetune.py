"""Fine-tuning of an encoder on labelled hands: a supervised run that starts from its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handssl.data.config import DataConfig, PackedData
from handssl.errors import InputError
from handssl.execution.result import StudyResult
from handssl.execution.resume import find_run
from handssl.execution.single_run import pretrain
from handssl.execution.storage import resolve_storage
from handssl.execution.trial_files import RunFile, encoder_file
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.study.run_config import RunConfig
from handssl.study.study import Study
from handssl.training.config import PretrainConfig

NAME = "finetune"
COMPOSITION = ("rotate", "translate")
"""Transformations of labelled images, as the published code has them (Sec. 4.1)."""
_SHARED = ("augmentation", "encoder", "heads", "epochs", "global_batch", "optimizer", "batch_norm")


def finetune(
    start: str | Path = "random",
    *,
    config: RunConfig | None = None,
    changes: Mapping[str, Any] | None = None,
    storage: Path | str | None = None,
    **options: Any,
) -> StudyResult:
    """Train encoder and linear 2.5D head on the labelled images of `probe`.

    It is validated on `select` after every epoch and reported on `test` at the end. An interrupted
    run continues when it is called again.

    Args:
        start: Initial weights of the encoder: `random`, a file, or a run by its trial id, folder
            or MLflow run id.
        config: Data and settings; default: those of the run, see `finetune_run`.
        changes: Dotted keys to change, e.g. `{"pretrain.finetune.labels": 0.1}`.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        options: Further arguments of `handssl.execution.single_run.pretrain`.

    Returns:
        The record; `interrupted` says whether epochs are missing.

    Raises:
        InputError: There is no such file or run, its weights are of another architecture, or too
            few labels are left.
        DataError: The run has no encoder, or a file is damaged.

    Example:
        ```python
        result = handssl.finetune("3f2a", changes={"pretrain.finetune.labels": 0.1})
        result.records[0].metrics["test_median_mm"]
        ```
    """
    run = finetune_run(str(start), config=config, changes=changes, storage=storage)
    return pretrain(run, storage=storage, **options)


def finetune_run(
    start: str,
    *,
    config: RunConfig | None = None,
    changes: Mapping[str, Any] | None = None,
    storage: Path | str | None = None,
) -> RunConfig:
    """Return the configuration of a fine-tuning.

    Without a configuration, data, encoder, batch, epochs and optimizer are those of the run that it
    starts from, or the defaults of `RunConfig`, and images are rotated and translated.

    Args:
        start: Initial weights: `random`, a file or a run.
        config: Data and settings.
        changes: Dotted keys to change.
        storage: Folder of the results.

    Raises:
        InputError: There is no such file or run, or a change is not valid.
        DataError: The run has no encoder.
    """
    if start == "random" or Path(start).expanduser().is_file():
        known, weights = RunConfig(name=NAME), start
    else:
        known, weights = _of_run(start, storage)
    base = config or known.merged({"pretrain.composition": list(COMPOSITION)})
    own = {"pretrain.objective": "supervised", "pretrain.init": weights, "pretrain.relative_on": []}
    finetune = base.pretrain.model_dump(mode="json").get("finetune") or {}
    return base.merged({**own, "pretrain.finetune": finetune, **(changes or {})})


def _of_run(start: str, storage: Path | str | None) -> tuple[RunConfig, str]:
    """Return data and settings of a run, and the name of its weights."""
    path = Path(start).expanduser()
    is_folder = path.is_dir()
    if not is_folder and (path.suffix or len(path.parts) > 1):
        raise InputError(
            f"finetune {start}: expected random, a run or a file with weights, found no such file "
            f"in {Path.cwd()}"
        )
    place = path.resolve().parent.parent if is_folder else resolve_storage(storage)
    ledger = Ledger.existing(place)
    record = find_run(path.resolve().name if is_folder else start, ledger, asked=NAME)
    encoder_file(ledger.folder(record.trial_id))
    trained = PretrainConfig.parse(record.config, where=f"the record of trial {record.trial_id}")
    settings = trained.model_dump(mode="json", include={*_SHARED})
    pretrain = PretrainConfig.parse({**settings, "seed": record.block})
    weights = str(ledger.folder(record.trial_id)) if is_folder else record.trial_id
    return RunConfig(name=NAME, data=data_of(record, ledger), pretrain=pretrain), weights


def data_of(record: TrialRecord, ledger: Ledger) -> DataConfig:
    """Return the configuration of a trial's data.

    Raises:
        InputError: Neither its folder nor its study nor its record names them.
    """
    if file := RunFile.find(ledger.folder(record.trial_id)):
        return file.run.data
    dataset, _, fingerprint = record.tags.get("data_labelled", "").partition(" ")
    if dataset not in ("", "procedural"):
        return PackedData.parse({"name": dataset, "fingerprint": fingerprint[:32]})
    plan = ledger.studies.plan(record.study) or {}
    if "study" not in plan:
        raise InputError(
            f"{NAME} {record.trial_id}: its record does not name its data; give a CONFIG that does"
        )
    return Study.parse(plan["study"]).data
