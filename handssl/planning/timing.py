"""Measurement of training steps and probes, for estimates of a study's duration."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

import torch

from handssl.data.config import ProceduralData
from handssl.data.crops import CONTEXT
from handssl.data.preparation import prepare
from handssl.data.splits import StudyData
from handssl.models import InitConfig
from handssl.planning.trial_size import trial_size
from handssl.training import Execution, Pretraining
from handssl.training.config import PretrainConfig
from handssl.training.metrics import measure

STEPS, _WARM, _LEAST_STEPS = 20, 2, 3
_TRIED_BATCH, _MOST_ON_HOST, _MADE_IMAGES = 16, 128, 256
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Timing:
    """Timing of one configuration.

    Attributes:
        of: Class of cells, see `handssl.planning.device_hours`.
        transformations: Number of transformations of the cell.
        view_s: Mean seconds per view: forward, backward and update.
        spread: Standard deviation of single steps over their mean.
        steps: Number of timed steps.
        batch: Images per step.
    """

    of: str
    transformations: int
    view_s: float
    spread: float
    steps: int
    batch: int


@dataclass(frozen=True)
class Measured:
    """Measurements of a study's configurations.

    Attributes:
        timings: Timing of each representative cell.
        image_probe_s: Seconds of the probe after an epoch, per labelled image.
        diagnosis_s: Seconds of the diagnostics in an epoch that has them.
        data: Description of the images used.
        device: Device of the measurement.
        peak_bytes: Peak memory in bytes, of the GPU or of this process.
    """

    timings: tuple[Timing, ...]
    image_probe_s: float
    diagnosis_s: float
    data: str
    device: str
    peak_bytes: int


def measure_steps(
    chosen: Sequence[tuple[str, PretrainConfig]],
    like: ProceduralData | None,
    ready: Path | None,
    *,
    budget_s: float,
    on_progress: OnProgress,
) -> Measured:
    """Time twenty steps of each configuration, fewer if time is short, and one probe.

    The batch is the study's if that fits into the time and memory, else smaller: the time of a step
    is assumed to be proportional to its views. The CPU uses one thread, like each trial.

    Args:
        chosen: (class, configuration) of each cell to measure.
        like: Configuration of the procedural data that are made; None: the default.
        ready: Folder of the study's own data; None: steps run on procedural data.
        budget_s: Approximate seconds of all measurements together.
        on_progress: Called with (done, total).
    """
    execution = Execution()
    device = execution.torch_device()
    total, timings = len(chosen) + 1, []
    with _one_thread(device), TemporaryDirectory(prefix="handssl-plan-") as scratch:
        small = _made(Path(scratch), like, max(one.encoder.input_px for _, one in chosen))
        data = StudyData(ready) if ready else small
        for number, (name, config) in enumerate(chosen):
            on_progress(number, total)
            timings.append(_timing(name, config, data, execution, budget_s / total))
        on_progress(len(chosen), total)
        probe_s, diagnosis_s = _probing(chosen[0][1], small)
        on_progress(total, total)
    named = "the study's own images" if ready else f"{_MADE_IMAGES} procedural images"
    return Measured(tuple(timings), probe_s, diagnosis_s, named, str(device), _peak_bytes(device))


def _made(folder: Path, like: ProceduralData | None, input_px: int) -> StudyData:
    """Render a few hands like those of the study, or with the pixels that its networks take."""
    side = max(64, math.ceil(input_px * CONTEXT))
    form = like or ProceduralData(image_px=side, crop_px=side)
    few = {"pretrain": _MADE_IMAGES, "probe": 128, "select": 64, "test": 16}
    return StudyData(prepare(form.model_copy(update=few), folder, workers=1))


def _timing(
    name: str, config: PretrainConfig, data: StudyData, execution: Execution, budget_s: float
) -> Timing:
    """Time steps with the largest batch for which twenty steps fit into the budget."""
    device = execution.torch_device()
    first = _fit(config, _TRIED_BATCH, data)
    tried_s = _step_times(_run(first, data, execution), 2, device)[-1]
    most = config.global_batch if device.type == "cuda" else _MOST_ON_HOST
    room = first.global_batch * budget_s / (tried_s * (STEPS + _WARM))
    wanted = 2 ** max(2, int(math.log2(max(4.0, min(room, most, config.global_batch)))))
    fitted = _fit(config, wanted, data)
    expected_s = tried_s * fitted.global_batch / first.global_batch
    steps = max(_LEAST_STEPS, min(STEPS, int(budget_s / expected_s) - _WARM))
    times = _step_times(_run(fitted, data, execution), steps + _WARM, device)[_WARM:]
    mean = fmean(times)
    views = fitted.global_batch * trial_size(fitted).draws
    size = len(config.composition)
    own_s = mean / views
    return Timing(name, size, own_s, stdev(times) / mean, len(times), fitted.global_batch)


def _fit(config: PretrainConfig, batch: int, data: StudyData) -> PretrainConfig:
    """Return the configuration with a batch that fits twice into the split, as four views need."""
    most = max(2, len(data.store("pretrain")) // 2)
    size = max(2 * config.accumulation, min(batch, config.global_batch, most))
    # A step takes as long from random weights.
    return config.model_copy(update={"global_batch": size, "init": InitConfig()})


def _run(config: PretrainConfig, data: StudyData, execution: Execution) -> Pretraining:
    run = Pretraining(config, data, execution)
    run.network.train()
    return run


def _step_times(run: Pretraining, steps: int, device: torch.device) -> list[float]:
    batches, epoch = run.batches(1), 1
    found = []
    for _ in range(steps):
        indices = next(batches, None)
        if indices is None:
            epoch += 1
            batches = run.batches(epoch)
            indices = next(batches)
        start_s = time.perf_counter()
        run.step(indices, epoch)
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start_s)
    return found


def _probing(config: PretrainConfig, data: StudyData) -> tuple[float, float]:
    """Return the seconds of a probe per image, and those of diagnostics."""
    run = Pretraining(_fit(config, _TRIED_BATCH, data), data, Execution())

    def seconds(*, diagnosed: bool) -> float:
        start_s = time.perf_counter()
        measure(run.encoder, data, config, last=False, diagnosed=diagnosed)
        return time.perf_counter() - start_s

    seconds(diagnosed=False)  # warm-up: the first call also loads the data
    alone_s = seconds(diagnosed=False)
    images = len(data.store("probe")) + len(data.store("select"))
    return alone_s / images, max(0.0, seconds(diagnosed=True) - alone_s)


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
