"""Ray Train worker: trains its share, reports to the driver, and stops on SIGTERM."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from types import FrameType
from typing import Any

import ray
import torch
from ray.train.torch import TorchConfig
from ray.util import get_current_placement_group

from handssl.distributed import rank
from handssl.errors import DivergedError, HandsslError, InterruptedStudyError
from handssl.execution.cluster.version_check import versions
from handssl.execution.datasets.staging import folder_here
from handssl.training.trial import Trial

_LOW_MEMORY = "running low on memory"  # part of Ray's own message
_told_to_end = False


@dataclass(frozen=True)
class Joined:
    """A worker has started.

    Attributes:
        actor: Handle of the worker's actor.
        node: Id of the node it runs on.
        placement: Placement group that reserves the resources of the group.
    """

    actor: Any
    node: str
    placement: Any


@dataclass(frozen=True)
class Begun:
    """The workers start training, from a checkpoint or from scratch.

    Attributes:
        steps: Number of steps done before, in all epochs.
    """

    steps: int


@dataclass(frozen=True)
class DatasetCopied:
    """A worker has copied a packed store to its node.

    Attributes:
        text: Message about what was copied, and how long it took.
    """

    text: str


class _Listening(TorchConfig().backend_cls):  # type: ignore[misc]
    """Torch backend whose workers handle SIGTERM as a request to stop."""

    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        super().on_start(worker_group, backend_config)
        worker_group.execute(_listen)


@dataclass
class ListeningConfig(TorchConfig):  # type: ignore[misc]
    """Configuration of Torch's process group for workers that save a checkpoint on SIGTERM."""

    @property
    def backend_cls(self) -> type:
        """Class of the backend that Ray Train sets up in every worker."""
        return _Listening


def work(settings: dict[str, Any]) -> None:
    """Run one worker: train, and report to the driver if this is the first worker.

    Args:
        settings: `trial`, the arguments of `Trial`, the `line` to the driver, and the driver's
            `versions`, which this node must have too.
    """
    line = settings["line"]
    context = ray.get_runtime_context()
    placement = get_current_placement_group()
    ray.get(line.send.remote(Joined(context.current_actor, context.get_node_id(), placement)))
    try:
        settings["versions"].require(versions(), socket.gethostname())
        _train(settings)
    except (DivergedError, InterruptedStudyError) as error:
        # All ranks raise these together.
        _tell_first(line, error)
    except HandsslError as error:
        ray.get(line.send.remote(error))
        raise


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether Ray killed a worker because its node ran low on memory."""
    text = f"{error} {error.__cause__}"
    return isinstance(error.__cause__, ray.exceptions.OutOfMemoryError) or _LOW_MEMORY in text


def _train(settings: dict[str, Any]) -> None:
    line = settings["line"]
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    trial = settings["trial"]
    torch.set_num_threads(trial["execution"].threads or max(1, int(cpus)))
    here = folder_here(trial["data"], lambda text: ray.get(line.send.remote(DatasetCopied(text))))
    _train_on(line, Trial(**{**trial, "data": here}))


def _train_on(line: Any, trial: Trial) -> None:
    def on_step(done: int, total: int) -> None:
        if rank() == 0:
            line.step.remote(done, total, trial.steps_made)

    _tell_first(line, Begun(trial.steps_made))
    for result in trial.epochs(on_step, lambda: _told_to_end or _is_stopped(line)):
        _tell_first(line, (result.epoch, dict(result.metrics)))


def _is_stopped(line: Any) -> bool:
    return bool(ray.get(line.must_stop.remote()))


def _tell_first(line: Any, what: Any) -> None:
    if rank() == 0:
        ray.get(line.send.remote(what))


def _listen() -> None:
    """Handle SIGTERM as a request to stop; Ray runs this in the main thread, as required."""
    signal.signal(signal.SIGTERM, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _told_to_end
    _told_to_end = True
