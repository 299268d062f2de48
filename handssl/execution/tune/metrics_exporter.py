"""Metrics of a trial's process, exported by Ray's metrics exporter on its node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from ray.util.metrics import Counter, Gauge

from handssl.execution.operator_metrics import (
    GPU_MEMORY,
    PROCESS_VIEWS_PER_S,
    TRIALS_ENDED,
    OperatorMetric,
)
from handssl.study.trials import PlannedTrial

RATE = "train/views_per_s"
_M = TypeVar("_M", Gauge, Counter)


class Exporter:
    """Speed, memory and outcomes of the trials of one process.

    Prometheus finds them at Ray's own endpoint, with the prefix `ray_`.
    """

    def __init__(self) -> None:
        self._rate = _made(Gauge, PROCESS_VIEWS_PER_S)
        self._memory = _made(Gauge, GPU_MEMORY)
        self._ended = _made(Counter, TRIALS_ENDED)

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


def _made(kind: type[_M], metric: OperatorMetric) -> _M:
    return kind(metric.name, metric.meaning, metric.labels)


def _tags(trial: PlannedTrial) -> dict[str, str]:
    return {"stage": trial.stage, "objective": trial.objective}
