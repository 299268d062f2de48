"""Device-hours of a study with an interval, estimated from measured steps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from handssl.planning.timing import Measured, Timing
from handssl.planning.trial_size import trial_size
from handssl.study.trials import PlannedTrial
from handssl.training.config import PretrainConfig
from handssl.training.metrics import diagnosis_stride

# Relative error due to what is not measured: starting trials, checkpoints, busy disks.
_UNMEASURED = 0.1
_TWO_SIDED_90 = 1.645


@dataclass(frozen=True)
class Hours:
    """Estimated device-hours.

    Attributes:
        mean: Expected value.
        low: Lower end of a 90 % interval.
        high: Upper end of that interval.
    """

    mean: float
    low: float
    high: float


def class_of(config: PretrainConfig) -> str:
    """Return the key of cells that differ only in their compositions."""
    shape = config.encoder.model_dump(mode="json")
    return json.dumps([config.objective, config.optimizer.name, shape], sort_keys=True)


def representatives(configs: Sequence[PretrainConfig]) -> list[tuple[str, PretrainConfig]]:
    """Return the cells to measure: the smallest, median and largest composition of each class.

    Args:
        configs: Configurations of all cells.

    Returns:
        (class, configuration); cells of one class and size are in order of their names.
    """
    classes: dict[str, list[PretrainConfig]] = {}
    for config in configs:
        classes.setdefault(class_of(config), []).append(config)
    found = []
    for name, members in classes.items():
        ordered = sorted({one.composition for one in members}, key=lambda one: (len(one), one))
        for position in sorted({0, (len(ordered) - 1) // 2, len(ordered) - 1}):
            first = next(one for one in members if one.composition == ordered[position])
            found.append((name, first))
    return found


class Clock:
    """Estimates the duration of trials.

    Args:
        measured: The measurements.
        images_of: Returns the number of images per split that a trial reads.
    """

    def __init__(
        self, measured: Measured, images_of: Callable[[PlannedTrial], Mapping[str, int]]
    ) -> None:
        self._measured, self._images_of = measured, images_of
        self._lines = {one.of: _line(measured.timings, one.of) for one in measured.timings}

    def view_s(self, config: PretrainConfig) -> float:
        """Return the seconds per view, linear in the number of transformations."""
        start, slope = self._lines[class_of(config)]
        return start + slope * len(config.composition)

    def epoch_s(self, trial: PlannedTrial) -> float:
        """Return the seconds per epoch: training, probe, and its share of diagnostics."""
        images = self._images_of(trial)
        views = trial_size(trial.config).views_per_epoch(trial.config, images["pretrain"])
        probed = images["probe"] + images["select"]
        diagnosed_s = self._measured.diagnosis_s / diagnosis_stride(max(1.0, views))
        return (
            views * self.view_s(trial.config) + probed * self._measured.image_probe_s + diagnosed_s
        )

    @property
    def relative_spread(self) -> float:
        """Standard error of a cell's time over its mean: repeats, line fit, and unmeasured time."""
        timings = self._measured.timings
        repeats = max(one.spread / math.sqrt(one.steps) for one in timings)
        off = max(self._off_the_line(one) for one in timings)
        return math.hypot(repeats, off, _UNMEASURED)

    def _off_the_line(self, one: Timing) -> float:
        start, slope = self._lines[one.of]
        return abs(one.view_s / (start + slope * one.transformations) - 1)

    def hours(self, seconds: float) -> Hours:
        """Return hours with their 90 % interval, symmetric in the logarithm."""
        factor = math.exp(_TWO_SIDED_90 * self.relative_spread)
        mean = seconds / 3600
        return Hours(mean, mean / factor, mean * factor)


def _line(timings: Sequence[Timing], name: str) -> tuple[float, float]:
    """Return the line through the means of the smallest and the largest cells of a class."""
    of_name = [one for one in timings if one.of == name]
    sizes = [one.transformations for one in of_name]
    low, high = min(sizes), max(sizes)
    if low == high:
        return fmean(one.view_s for one in of_name), 0.0
    ends = [fmean(o.view_s for o in of_name if o.transformations == size) for size in (low, high)]
    slope = (ends[1] - ends[0]) / (high - low)
    return ends[0] - slope * low, slope
