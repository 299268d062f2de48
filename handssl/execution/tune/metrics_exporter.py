"""Metrics of a trial's process, exported by Ray's metrics exporter on its node."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from ray.util.metrics import Counter, Gauge

from handssl.study.trials import PlannedTrial

RATE = "train/views_per_s"
_TAGS = ("stage", "objective")


class Exporter:
    """Speed, memory and outcomes of the trials of one process.

    Prometheus finds them at Ray's own endpoint: `ray_handssl_views_per_second`,
    `ray_handssl_gpu_memory_bytes`, `ray_handssl_trials_ended_total` by outcome.
    """

    def __init__(self) -> None:
        self._rate = Gauge("handssl_views_per_second", "Views encoded by a trial.", _TAGS)
        self._memory = Gauge("handssl_gpu_memory_bytes", "Peak of a trial on its GPU.", _TAGS)
        self._ended = Counter(
            "handssl_trials_ended", "Trials that have ended.", (*_TAGS, "outcome")
        )

    def epoch(self, trial: PlannedTrial, metrics: Mapping[str, float]) -> None:
        """Export the metrics of an epoch.

        Args:
            trial: Trial of the epoch.
            metrics: Metrics of the epoch, by name.
        """
        self._rate.set(metrics.get(RATE, 0.0), _tags(trial))
        if torch.cuda.is_available():
            self._memory.set(float(torch.cuda.max_memory_allocated()), _tags(trial))

    def ended(self, trial: PlannedTrial, outcome: str) -> None:
        """Count a trial's outcome and reset its speed to zero."""
        self._rate.set(0.0, _tags(trial))
        self._ended.inc(1.0, {**_tags(trial), "outcome": outcome})


def _tags(trial: PlannedTrial) -> dict[str, str]:
    return {"stage": trial.stage, "objective": trial.objective}
