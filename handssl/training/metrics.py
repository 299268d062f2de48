"""Metrics of a trial after an epoch, besides its training losses."""

from __future__ import annotations

import math

import torch
from torch import nn

from handssl.data.splits import StudyData
from handssl.data.store import PackedSplit
from handssl.evaluation import evaluate_probe, fit_probe
from handssl.evaluation.diagnostics import LEAST_IMAGES, diagnose, encoded_views
from handssl.evaluation.head_probe import trained_head
from handssl.evaluation.predictions import OnPredictions
from handssl.evaluation.ridge import LinearProbe
from handssl.evaluation.targets import pose_targets
from handssl.evaluation.trained_head import TrainedHead
from handssl.objectives import HeatmapRegression, Mixed, Relative, Supervised
from handssl.training.config import PretrainConfig
from handssl.training.kept_probe import OnProbe
from handssl.transforms.joints_outside import joints_outside

DIAGNOSED_IMAGES = 256
_SHARE = 0.1  # maximum cost of the diagnostics as a share of an epoch's work
_PASSES_OF_TRAINING = 3  # forward, and backward at twice its cost


def measure(
    encoder: nn.Module,
    data: StudyData,
    config: PretrainConfig,
    *,
    last: bool,
    diagnosed: bool,
    objective: nn.Module | None = None,
    keep: OnPredictions | None = None,
    keep_probe: OnProbe | None = None,
) -> dict[str, float]:
    """Fit and report the encoder's probe, and compute the diagnostics if they are due.

    Of a fine-tuned model its own head is reported too; the read-out that its configuration names
    gives the aliases of the primary metric and the predictions that are kept.

    Args:
        encoder: Encoder, frozen meanwhile.
        data: The packed splits.
        config: Configuration of the trial.
        last: Whether this is the last epoch, the only one evaluated on `test`.
        diagnosed: Whether diagnostics are due.
        objective: The trained objective, whose relative heads are diagnosed if it has any; the
            head of a fine-tuned model.
        keep: Called with the predictions of the last epoch, on `select` and `test`.
        keep_probe: Called with the probe of the last epoch.

    Returns:
        `ridge/...` or `head/...`, the aliases of the primary metric and `diag/...`, at the end also
        `diag/joints_outside/...` and, of a supervised encoder with maps, `end_to_end/...`, the
        errors of the head it was trained with; of a fine-tuned model these after every epoch. A
        diagnostic that is not finite is left out: it describes features and must not fail the
        trial.
    """
    view_px = config.encoder.input_px
    probe, selected = fit_probe(encoder, data, view_px=view_px)
    metrics: dict[str, float] = {}
    measured = read_outs(probe, objective, config)
    for one in measured:
        metrics |= evaluate_probe(
            one, selected, encoder, data, view_px=view_px, test=last, keep=keep if last else None
        )
    if last and keep_probe is not None:
        keep_probe(measured[-1], encoder)
    if last:
        metrics |= _joints_outside(data.store("probe"), config)
    if last and len(measured) == 1:
        metrics |= _end_to_end(objective, selected, encoder, data, view_px)
    # A small share of labels has too few images to describe features by.
    if diagnosed and (config.finetune is None or len(data.store("probe")) >= LEAST_IMAGES):
        found = diagnose(
            encoder,
            data,
            augmentation=config.augmentation,
            view_px=view_px,
            seed=config.seed,
            probe=probe,
            heads=objective.relative if isinstance(objective, Relative | Mixed) else None,
            images=DIAGNOSED_IMAGES,
        )
        metrics |= {name: value for name, value in found.items() if math.isfinite(value)}
    return metrics


def _end_to_end(
    objective: nn.Module | None,
    selected: torch.Tensor,
    encoder: nn.Module,
    data: StudyData,
    view_px: int,
) -> dict[str, float]:
    """Return the errors of a trained heatmap head; the aliases stay those of the probe."""
    if not isinstance(objective, HeatmapRegression):
        return {}
    probe = trained_head(objective.heads[-1])
    found = evaluate_probe(probe, selected, encoder, data, view_px=view_px, test=True)
    return {name: value for name, value in found.items() if probe.name in name.split("/")}


def read_outs(
    probe: LinearProbe, objective: nn.Module | None, config: PretrainConfig
) -> list[LinearProbe]:
    """Return the probes that are evaluated; the last one is the read-out of the trial.

    Args:
        probe: The probe fitted to the features.
        objective: The trained objective.
        config: Configuration of the trial.
    """
    own: LinearProbe
    if config.finetune is None:
        return [probe]
    if isinstance(objective, HeatmapRegression):
        own = trained_head(objective.heads[-1])
    elif isinstance(objective, Supervised):
        own = TrainedHead(objective)
    else:
        return [probe]
    return [own, probe] if config.finetune.readout == "probe" else [probe, own]


def _joints_outside(store: PackedSplit, config: PretrainConfig) -> dict[str, float]:
    """Return the shares of hands that views cut a joint off, once: they depend on no weight."""
    target = pose_targets(store)
    shares = joints_outside(
        target.uv,
        target.valid,
        store.ids,
        config=config.augmentation,
        composition=config.composition,
        seed=config.seed,
    )
    return {f"diag/joints_outside/{name}": share for name, share in shares.items()}


def diagnosis_stride(views_per_epoch: float) -> int:
    """Return the interval of diagnostics in epochs, so that they cost at most a tenth of training.

    It depends only on the configuration, not on the machine: all runs of a trial have equal rows.

    Args:
        views_per_epoch: Number of training views encoded in an epoch.

    Example:
        >>> diagnosis_stride(2 * 130_240)
        1
        >>> diagnosis_stride(2 * 2048)
        5
    """
    work = _PASSES_OF_TRAINING * views_per_epoch
    return max(1, math.ceil(encoded_views(DIAGNOSED_IMAGES) / (_SHARE * work)))
