"""What is measured of a trial after an epoch, besides its training losses."""

from __future__ import annotations

import math

from torch import nn

from handssl.data.study_data import StudyData
from handssl.evaluation import evaluate_probe, fit_probe
from handssl.evaluation.diagnostics import diagnose, encoded_views
from handssl.training.config import PretrainConfig

DIAGNOSED_IMAGES = 256
_SHARE = 0.1  # of an epoch's work that the diagnostics may take
_PASSES_OF_TRAINING = 3  # forward, and backward at twice its cost


def measure(
    encoder: nn.Module, data: StudyData, config: PretrainConfig, *, last: bool, diagnosed: bool
) -> dict[str, float]:
    """Fit the ridge probe and report it; read the diagnostics where they are due.

    Args:
        encoder: Frozen for the purpose.
        data: The packed splits.
        config: Of the trial.
        last: Whether this is the last epoch, which alone opens `test`.
        diagnosed: Whether diagnostics are due.

    Returns:
        `ridge/...`, the aliases of the primary measure and `diag/...`. A diagnostic that is not
        finite is left out: it judges features, not the trial.
    """
    view_px = config.encoder.input_px
    probe, selected = fit_probe(encoder, data, view_px=view_px)
    metrics = evaluate_probe(probe, selected, encoder, data, view_px=view_px, test=last)
    if diagnosed:
        found = diagnose(
            encoder,
            data,
            augmentation=config.augmentation,
            view_px=view_px,
            seed=config.seed,
            probe=probe,
            images=DIAGNOSED_IMAGES,
        )
        metrics |= {name: value for name, value in found.items() if math.isfinite(value)}
    return metrics


def diagnosis_stride(views_per_epoch: float) -> int:
    """Return every how many epochs diagnostics are due, so that they take a tenth at most.

    A function of the configuration alone, not of the machine: runs of a trial have the same rows.

    Args:
        views_per_epoch: Views encoded and learned from in an epoch.

    Example:
        >>> diagnosis_stride(2 * 130_240)
        1
        >>> diagnosis_stride(2 * 2048)
        5
    """
    work = _PASSES_OF_TRAINING * views_per_epoch
    return max(1, math.ceil(encoded_views(DIAGNOSED_IMAGES) / (_SHARE * work)))
