"""Measure the encoder of a completed trial on other data; nothing is trained again."""

from __future__ import annotations

from pathlib import Path

from handssl.data.splits import StudyData
from handssl.errors import DataError
from handssl.evaluation.cross import measure_across
from handssl.evaluation.head_probe import trained_head
from handssl.evaluation.ridge import LinearProbe
from handssl.evaluation.trained_head import TrainedHead
from handssl.objectives import HeatmapRegression, Objective, Supervised
from handssl.training.checkpoints.reading import read
from handssl.training.config import PretrainConfig
from handssl.training.network import networks
from handssl.training.weights import load_weights

LAYER = "layer.safetensors"
"""File with the trained linear layer of a supervised trial, in its folder."""


def measure_probe(
    kind: str,
    config: PretrainConfig,
    folder: Path,
    data: StudyData,
) -> dict[str, float]:
    """Return the errors of a completed trial's encoder on the data of two datasets.

    Args:
        kind: `linear_probe` fits a ridge on the frozen encoder; `own_layer` uses the layer that a
            supervised trial has trained with its encoder, end to end.
        config: Configuration of the trial.
        folder: Folder of the trial's files.
        data: Splits of `CrossData`.

    Raises:
        DataError: The trial has no weights, or they are damaged.
    """
    encoder, objective = networks(config)
    load_weights(encoder, folder / "encoder.safetensors")
    layer = _trained(objective, folder) if kind == "own_layer" else None
    return measure_across(encoder, data, view_px=config.encoder.input_px, layer=layer)


def _trained(objective: Objective, folder: Path) -> LinearProbe:
    """Load the layer of a supervised trial; early versions left it in the last checkpoint alone."""
    if not isinstance(objective, Supervised | HeatmapRegression):
        raise DataError(f"{folder}: expected a supervised trial, which has a layer of its own")
    if (folder / LAYER).exists():
        load_weights(objective, folder / LAYER)
    else:
        _load_from_checkpoint(objective, folder)
    if isinstance(objective, Supervised):
        return TrainedHead(objective)
    return trained_head(objective.heads[-1])


def _load_from_checkpoint(objective: Objective, folder: Path) -> None:
    checkpoints = sorted((folder / "checkpoints").glob("epoch-*.ckpt"))
    if not checkpoints:
        raise DataError(
            f"{folder / LAYER}: expected the layer of a supervised trial, found neither it nor a "
            "checkpoint; train it again in another storage"
        )
    weights = read(checkpoints[-1])["model"]
    own = {name: v for name, v in weights.items() if name.startswith("objective.")}
    objective.load_state_dict({name.removeprefix("objective."): v for name, v in own.items()})
