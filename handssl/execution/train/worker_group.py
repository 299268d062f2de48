"""Life cycle of a group of Ray Train workers, from start to clean-up."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util import remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from handssl.errors import HandsslError
from handssl.execution.cluster.nodes import this_node
from handssl.execution.cluster.version_check import versions
from handssl.execution.train.trainer import build_trainer
from handssl.execution.train.worker import Begun, DatasetCopied, Joined
from handssl.runtime.fencing import held

PREFIX = ".train-"
_PERIOD_S = 0.2
_DEATH_TIMEOUT_S = 20.0
Row = tuple[int, dict[str, float]]
Step = tuple[int, int, int]


class GroupLostError(Exception):
    """A worker, its node or the controller was lost; only the trial's last checkpoint remains."""


class _Line:
    """Message channel between the workers and the driver."""

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._step: Step | None = None
        self._stop = False

    def send(self, what: Any) -> None:
        self._messages.append(what)

    def step(self, done: int, total: int, made: int) -> None:
        self._step = (done, total, made)

    def received(self, known: int) -> tuple[list[Any], Step | None]:
        return self._messages[known:], self._step

    def stop(self) -> None:
        self._stop = True

    def must_stop(self) -> bool:
        return self._stop


class Group:
    """Workers that train a trial together until it is complete, stopped, or a worker is lost.

    Args:
        trial: Arguments of `Trial`; its folders are visible from every node.
        workers: Number of workers.
        use_gpu: Whether each worker uses one GPU; otherwise one CPU.

    Attributes:
        joined: The workers that have started.
        begun: Number of training steps done before the workers started; None until they have.
        copied: Messages about data copied to nodes that have not been reported yet.
        step: Last reported step: (number in the epoch, steps per epoch, steps done in all epochs).
    """

    def __init__(self, trial: dict[str, Any], workers: int, *, use_gpu: bool) -> None:
        here = NodeAffinitySchedulingStrategy(this_node(), soft=False)
        self._line: Any = ray.remote(num_cpus=0, scheduling_strategy=here)(_Line).remote()
        with held(trial["fence"]):
            self._scratch = tempfile.TemporaryDirectory(prefix=PREFIX, dir=trial["folder"])
        self._known, self.joined = 0, list[Joined]()
        self.begun: int | None = None
        self.copied: list[str] = []
        self.step: Step | None = None
        self._failed: list[BaseException] = []
        shared = {"trial": trial, "line": self._line, "versions": versions()}
        trainer = build_trainer(shared, workers, use_gpu=use_gpu, scratch=self._scratch.name)
        self._thread = threading.Thread(target=self._fit, args=(trainer,), daemon=True)
        self._thread.start()

    @property
    def nodes(self) -> frozenset[str]:
        """Ids of the nodes on which workers have started."""
        return frozenset(joined.node for joined in self.joined)

    def rows(self, must_stop: Callable[[], bool], on_tick: Callable[[], None]) -> Iterator[Row]:
        """Yield epochs as the workers report them, those of an earlier run first.

        Args:
            must_stop: Called several times a second; True stops the workers.
            on_tick: Called several times a second.

        Raises:
            HandsslError: Raised by a worker; InterruptedStudyError if it was stopped.
            GroupLostError: A worker, its node or the controller was lost.
        """
        stopping = False
        while True:
            done = not self._thread.is_alive()
            yield from self._sorted(self._received())
            if done:
                break
            if must_stop() and not stopping:
                stopping = True
                self._ask(self._line.stop.remote())
            on_tick()
            self._thread.join(_PERIOD_S)
        if self._failed:
            raise GroupLostError(str(self._failed[0])) from self._failed[0]

    def close(self) -> None:
        """Kill all workers, so that none writes into the folder any more, and clean up."""
        for joined in self.joined:
            ray.kill(joined.actor)
        for joined in self.joined:
            with contextlib.suppress(RayError, GetTimeoutError):
                ray.get(joined.actor.__ray_ready__.remote(), timeout=_DEATH_TIMEOUT_S)
        if self.joined:
            remove_placement_group(self.joined[0].placement)
        ray.kill(self._line)
        self._thread.join(_DEATH_TIMEOUT_S)
        self._scratch.cleanup()

    def _fit(self, trainer: Any) -> None:
        try:
            trainer.fit()
        except BaseException as error:
            self._failed.append(error)

    def _received(self) -> list[Any]:
        messages, self.step = self._ask(self._line.received.remote(self._known))
        self._known += len(messages)
        return list(messages)

    def _ask(self, answer: Any) -> Any:
        try:
            return ray.get(answer)
        except RayError as error:
            raise GroupLostError(str(error)) from error

    def _sorted(self, messages: list[Any]) -> Iterator[Row]:
        for what in messages:
            if isinstance(what, Joined):
                self.joined.append(what)
            elif isinstance(what, Begun):
                self.begun = what.steps
            elif isinstance(what, DatasetCopied):
                self.copied.append(what.text)
            elif isinstance(what, HandsslError):
                self._thread.join()
                raise what
            else:
                yield what


def remove_remains(folder: Path) -> None:
    """Remove temporary folders that a killed driver's groups left in a trial's folder."""
    for path in folder.glob(PREFIX + "*"):
        shutil.rmtree(path, ignore_errors=True)
