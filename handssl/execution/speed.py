"""Speed of an epoch, computed from its metrics."""

from __future__ import annotations

from collections.abc import Mapping

from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.study.trials import PlannedTrial


def images_per_s(trial: PlannedTrial, metrics: Mapping[str, float]) -> float | None:
    """Return the images of the split `pretrain` per second; one image gives several views.

    Args:
        trial: Trial of the epoch.
        metrics: Metrics of the epoch, by name.
    """
    views = metrics.get("train/views_per_step")
    rate = metrics.get("train/views_per_s")
    return rate * trial.config.global_batch / views if rate and views else None


def waiting_share(epoch: int, metrics: Mapping[str, float]) -> float | None:
    """Return the share of the training time spent on reading crops and computing views.

    Args:
        epoch: Number of the epoch, from 1.
        metrics: Metrics of the epoch, by name.

    Example:
        >>> of = {"train/views_per_s": 50.0, "train/encoder_views": 200.0, "train/data_s": 1.0}
        >>> waiting_share(2, of)
        0.5
    """
    rate, views = metrics.get("train/views_per_s"), metrics.get("train/encoder_views")
    if not rate or not views or "train/data_s" not in metrics:
        return None
    return min(1.0, metrics["train/data_s"] * rate * max(1, epoch) / views)


def measured(trial: PlannedTrial, epoch: int, metrics: Mapping[str, float]) -> list[str]:
    """Format speed and results of an epoch as parts of a line, as far as they are known.

    Args:
        trial: Trial of the epoch.
        epoch: Number of the epoch, from 1.
        metrics: Metrics of the epoch, by name.
    """
    rate, waited = images_per_s(trial, metrics), waiting_share(epoch, metrics)
    parts = [f"{rate:,.0f} images/s"] if rate else []
    parts += [f"{waited:.0%} waiting for data"] if waited is not None else []
    parts += [f"loss {metrics['train/loss']:.3f}"] if "train/loss" in metrics else []
    return parts + (
        [f"median {metrics[PRIMARY_METRIC]:.1f} mm"] if PRIMARY_METRIC in metrics else []
    )
