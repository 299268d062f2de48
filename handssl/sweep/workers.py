"""One trial on several Ray Train workers: the same loop, one process a worker.

Workers that die are started again by Ray Train and go on from the trial's checkpoint, which lies
where all of them see it. Results come to the driver through a small actor, in order, each once.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from handssl.errors import DivergedError, HandsslError, InputError, InterruptedStudyError
from handssl.sweep.local_ray import ray_cluster
from handssl.training.config import PretrainConfig
from handssl.training.execution import Execution

MAX_FAILURES = 8
_PERIOD_S = 0.2
Row = tuple[int, dict[str, float]]


class _Line:
    """Between the workers and the driver."""

    def __init__(self) -> None:
        self._said: list[Any] = []
        self._stop = False

    def say(self, what: Any) -> None:
        self._said.append(what)

    def heard(self, known: int) -> list[Any]:
        return self._said[known:]

    def is_over(self) -> bool:
        return any(isinstance(what, InputError) for what in self._said)

    def stop(self) -> None:
        self._stop = True

    def must_stop(self) -> bool:
        return self._stop


def train_together(
    config: PretrainConfig,
    data: Path,
    folder: Path,
    *,
    workers: int | None,
    execution: Execution,
    must_stop: Callable[[], bool],
    on_tick: Callable[[], None],
    on_started: Callable[[], None],
) -> Iterator[Row]:
    """Yield a trial's epochs as Ray Train workers make them.

    Args:
        config: The resolved configuration.
        data: Packed splits.
        folder: The trial's own; every worker sees it.
        workers: How many; None: one for each GPU, or CPU where there is none.
        execution: How each computes.
        must_stop: Asked several times a second.
        on_tick: Called several times a second.
        on_started: Called when Ray has taken over the process's signals.

    Yields:
        (epoch, metrics), those of an earlier run first.

    Raises:
        DivergedError: A loss was not finite.
        InterruptedStudyError: It was stopped; the steps that were made are saved.
        InputError: The machine or cluster has fewer CPUs or GPUs than workers, or a worker found
            that it cannot be run, e.g. that a step does not fit into memory.
    """
    with ray_cluster() as cluster, tempfile.TemporaryDirectory(prefix="handssl-train-") as scratch:
        on_started()
        use_gpu = cluster.gpus > 0
        count = _checked(workers, cluster.slots * cluster.cpus, use_gpu=use_gpu)
        line: Any = ray.remote(num_cpus=0)(_Line).remote()
        settings = {"config": config, "data": data, "folder": folder, "line": line}
        trainer = TorchTrainer(
            _work,
            train_loop_config={**settings, "execution": execution},
            scaling_config=ScalingConfig(num_workers=count, use_gpu=use_gpu),
            torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
            run_config=RunConfig(
                name="trial",
                storage_path=scratch,
                failure_config=FailureConfig(max_failures=MAX_FAILURES),
            ),
        )
        yield from _rows(trainer, line, must_stop, on_tick)


def _checked(workers: int | None, cpus: int, *, use_gpu: bool) -> int:
    there = int(ray.cluster_resources().get("GPU", 0)) if use_gpu else cpus
    if workers is None:
        return there
    if workers > there:
        raise InputError(
            f"--workers: expected at most {there}, the {'GPUs' if use_gpu else 'CPUs'} of the "
            f"cluster, got {workers}"
        )
    return workers


def _rows(
    trainer: TorchTrainer, line: Any, must_stop: Callable[[], bool], on_tick: Callable[[], None]
) -> Iterator[Row]:
    failed: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    known, last, stopping = 0, 0, False
    while thread.is_alive() or not failed:
        done = not thread.is_alive()
        said = ray.get(line.heard.remote(known))
        known += len(said)
        for what in said:
            if isinstance(what, HandsslError):
                thread.join()
                raise what
            # Workers that were started again tell what they had told before.
            if what[0] > last:
                last = what[0]
                yield what
        if done:
            return
        if must_stop() and not stopping:
            stopping = True
            ray.get(line.stop.remote())
        on_tick()
        thread.join(_PERIOD_S)
    raise failed[0]


def _work(settings: dict[str, Any]) -> None:
    """Be one worker: train, and if this is the first, tell the driver."""
    import torch

    from handssl.distributed import rank
    from handssl.training.trial import Trial

    line = settings["line"]
    if ray.get(line.is_over.remote()):  # started again by Ray Train, which would be in vain
        return
    torch.set_num_threads(max(1, int(ray.get_runtime_context().get_assigned_resources()["CPU"])))

    def tell(what: Any) -> None:
        if rank() == 0:
            ray.get(line.say.remote(what))

    try:
        trial = Trial(
            settings["config"],
            settings["data"],
            settings["folder"],
            execution=settings["execution"],
        )
        for result in trial.epochs(must_stop=lambda: bool(ray.get(line.must_stop.remote()))):
            tell((result.epoch, dict(result.metrics)))
    except (DivergedError, InterruptedStudyError) as error:
        tell(error)
    except InputError as error:
        # Of any rank; the others wait for it, so it must not end as if all were well.
        ray.get(line.say.remote(error))
        raise
