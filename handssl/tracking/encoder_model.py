"""Trained encoders as MLflow models: safetensors and a loader, nothing pickled or inferred."""

from __future__ import annotations

import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from handssl.ledger import Ledger
from handssl.ledger.best import best_encoder
from handssl.ledger.record import TrialRecord
from handssl.models import EncoderConfig, build_encoder
from handssl.tracking.encoder_code import CONFIG_FILE, WEIGHTS_FILE
from handssl.transforms.views import MEAN, STD

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow 3.17 warns about its own type hints
    import mlflow.pyfunc

NAME = "encoder"
_REQUIRED = ("handssl", "mlflow", "numpy", "safetensors", "torch", "torchvision")


def has_encoder(store: Ledger, record: TrialRecord) -> bool:
    """Return whether a trial is completed and its encoder's weights are stored."""
    weights = store.folder(record.trial_id) / WEIGHTS_FILE
    return record.outcome == "completed" and "encoder" in record.config and weights.is_file()


def best_trial(store: Ledger, study: str) -> TrialRecord | None:
    """Return the completed trial of a study with the least median error on `select`.

    Args:
        store: The ledger with the records.
        study: Name of the study; supervised references are skipped: they are not pretrained.
    """
    return best_encoder(record for record in store.all(study) if has_encoder(store, record))


def log_encoder(
    client: MlflowClient, experiment: str, run_id: str, record: TrialRecord, folder: Path
) -> str:
    """Log the encoder of a completed trial as a model of its run, unless the run has it.

    Args:
        client: Client of the MLflow store.
        experiment: Id of the experiment.
        run_id: Id of the trial's run.
        record: Record of the trial; the encoder is built from its configuration.
        folder: Folder with `encoder.safetensors`.

    Returns:
        The model's id.
    """
    condition = f"source_run_id = '{run_id}' AND name = '{NAME}'"
    models = client.search_logged_models([experiment], condition)
    ready = next((model for model in models if str(model.status) == "READY"), None)
    if ready is not None:
        return str(ready.model_id)
    # A model that is not ready is left over from a failed attempt.
    model = models[0] if models else client.create_logged_model(experiment, NAME, run_id)
    with tempfile.TemporaryDirectory(prefix="handssl-model-") as scratch:
        path = Path(scratch) / NAME
        save_encoder(
            path,
            EncoderConfig.parse(record.config["encoder"]),
            folder / WEIGHTS_FILE,
            model.model_id,
        )
        client.log_model_artifacts(model.model_id, str(path))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=record.epoch)])
    return str(model.model_id)


def save_encoder(path: Path, config: EncoderConfig, weights: Path, model_id: str = "") -> None:
    """Write an encoder as a folder that `mlflow.pyfunc.load_model` reads.

    Args:
        path: The folder, which must not exist.
        config: Configuration of the encoder.
        weights: Its safetensors file.
        model_id: Id of the model in MLflow; empty if it is not logged.
    """
    side_px = config.input_px
    with tempfile.TemporaryDirectory(prefix="handssl-encoder-") as scratch:
        data = Path(scratch) / "encoder"
        data.mkdir()
        (data / WEIGHTS_FILE).symlink_to(weights.resolve())  # MLflow copies what it points to
        (data / CONFIG_FILE).write_text(config.model_dump_json(), encoding="utf-8")
        mlflow.pyfunc.save_model(
            path,
            mlflow_model=Model(model_id=model_id or None),
            loader_module="handssl.tracking.encoder_code",
            data_path=str(data),
            signature=_signature(side_px, build_encoder(config).dim),
            input_example=np.zeros((1, 3, side_px, side_px), dtype=np.float32),
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIRED],
            metadata={"channels": "RGB", "scale": "[0, 1]", "mean": [*MEAN], "std": [*STD]},
        )


def _signature(side_px: int, dim: int) -> ModelSignature:
    images = TensorSpec(np.dtype(np.float32), (-1, 3, side_px, side_px))
    features = TensorSpec(np.dtype(np.float32), (-1, dim))
    return ModelSignature(inputs=Schema([images]), outputs=Schema([features]))
