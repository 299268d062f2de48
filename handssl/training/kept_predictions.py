"""Keep the last predictions of a trial in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from torch import nn

from handssl.data.splits import StudyData
from handssl.evaluation.predictions import FILE, Columns, OnPredictions, TrialPredictions
from handssl.evaluation.probe import fit_probe, predict_splits
from handssl.runtime.fencing import Fence
from handssl.training.checkpoints.writing import write_whole
from handssl.training.config import PretrainConfig
from handssl.training.kept_probe import OnProbe
from handssl.training.metrics import read_outs


def keep_in(folder: Path, data: StudyData, fence: Fence | None = None) -> OnPredictions:
    """Return a function that writes predictions into a trial's folder, atomically.

    Args:
        folder: The trial's folder, created if missing.
        data: The packed splits.
        fence: Fence of the folder. The function raises TakenOverError if another process has
            claimed it, and DataError if the file cannot be written.
    """

    def keep(columns: Columns) -> None:
        content = TrialPredictions.of(columns, data).encode()

        def write(file: BinaryIO) -> None:
            file.write(content)

        write_whole(folder / FILE, write, size_bytes=len(content), fence=fence)

    return keep


def predict_again(
    encoder: nn.Module,
    data: StudyData,
    config: PretrainConfig,
    *,
    objective: nn.Module | None,
    keep: OnPredictions | None,
    keep_probe: OnProbe | None,
) -> None:
    """Fit the ridge probe on a trained encoder once more, and keep it and its predictions.

    On the machine that trained it, both equal those of the last epoch to the bit.

    Args:
        encoder: Encoder of a completed trial, in float32.
        data: The packed splits that the trial used.
        config: Configuration of the trial.
        objective: The trained objective, whose head predicts if the trial is measured by it.
        keep: Function that keeps the predictions, see `keep_in`; None: they are kept already.
        keep_probe: Function that keeps the probe, see `keep_probe_in`; None: it is kept already.
    """
    view_px = config.encoder.input_px
    fitted, selected = fit_probe(encoder, data, view_px=view_px)
    probe = read_outs(fitted, objective, config)[-1]
    if keep is not None:
        keep(predict_splits(probe, selected, encoder, data, view_px=view_px, test=True))
    if keep_probe is not None:
        keep_probe(probe, encoder)
