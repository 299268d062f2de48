"""Number of workers of the next group, from the requested bounds and the free resources."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from handssl.errors import InputError, InterruptedStudyError
from handssl.execution.cluster.nodes import FreeResources, room
from handssl.training.config import PretrainConfig

SETTLE_S = 10.0
WAIT_S = 1800.0
_PERIOD_S = 0.2
_FEWER_ROWS = (
    "or set pretrain.accumulation to 2 or more: a step then needs less memory, but is a different "
    "experiment with a different identity"
)


@dataclass(frozen=True)
class Workers:
    """Bounds on the size of a group.

    Attributes:
        start: Minimum of the first group.
        least: Minimum of later groups, after workers were lost.
        most: Maximum of every group; None: all available workers at each start of a group.
    """

    start: int
    least: int
    most: int | None

    @classmethod
    def of(cls, asked: int | tuple[int, int] | None) -> Workers:
        """Convert the argument `workers` of `pretrain`.

        Args:
            asked: A number to start with, of which all but one may be lost; (least, most); or None.

        Example:
            >>> Workers.of(4)
            Workers(start=4, least=1, most=4)
            >>> Workers.of((2, 4))
            Workers(start=2, least=2, most=4)
        """
        if asked is None:
            return cls(1, 1, None)
        if isinstance(asked, int):
            return cls(asked, 1, asked)
        return cls(asked[0], asked[0], asked[1])


@dataclass(frozen=True)
class Waiting:
    """Callbacks for the time while there are too few workers, and for training.

    Attributes:
        must_stop: Called several times a second; True stops the run.
        on_tick: Called several times a second.
        notify: Called with (message for the user, number of steps to be repeated).
        on_step: Called with (steps done, steps of the epoch).
    """

    must_stop: Callable[[], bool]
    on_tick: Callable[[], None]
    notify: Callable[[str, int], None]
    on_step: Callable[[int, int], None]


class WorkerScaling:
    """Decides the size of every group of a run.

    A group has the requested maximum of workers, or as many as are free once the last group's
    resources are released, if that is fewer; below the minimum it waits. Each worker needs a row of
    every backward pass.

    Args:
        asked: Requested bounds.
        config: Configuration with the global batch.
        resource: Resource of which a worker uses one: `CPU` or `GPU`.
        can_grow: Whether nodes may join the cluster; a local Ray never grows.
        waiting: Callbacks while waiting.

    Raises:
        InputError: There are more workers than rows.
    """

    def __init__(
        self,
        asked: Workers,
        config: PretrainConfig,
        *,
        resource: str,
        can_grow: bool,
        waiting: Waiting,
    ) -> None:
        self._asked, self._config, self._resource = asked, config, resource
        self._can_grow, self._waiting = can_grow, waiting
        self._rows = config.global_batch // config.accumulation
        self._least, self._most = asked.start, asked.most
        self._reason = "the least that was asked for"
        if asked.start > self._rows:
            raise InputError(
                f"--workers: expected at most {self._rows}, a row of the global batch each, got "
                f"{asked.start}"
            )

    def next(self) -> int:
        """Wait until the next group can start, and return its size.

        Raises:
            InputError: There will never be enough workers here.
            InterruptedStudyError: The run was stopped, or has waited for WAIT_S.
        """
        began_s, notified = time.monotonic(), False
        while True:
            there, waited_s = room(self._resource), time.monotonic() - began_s
            if count := self._fitting(there, settled=waited_s >= SETTLE_S):
                self._started(count)
                return count
            self._check(there, waited_s)
            if there.total < self._least and not notified:
                self._waiting.notify(self._explained(there), 0)
                notified = True
            self._waiting.on_tick()
            time.sleep(_PERIOD_S)  # there is no notification of new nodes

    def too_little_memory(self, workers: int, reason: str) -> None:
        """Require more than `workers` from now on, since fewer rows per worker need less memory.

        Raises:
            InputError: More workers are not allowed by the requested maximum or the rows.
        """
        self._least = workers + 1
        self._reason = f"with {workers} a step ran out of memory ({reason})"
        if self._least > min(self._rows, self._most or self._rows):
            raise InputError(
                f"a step of {self._config.global_batch} rows on {workers} workers ran out of "
                f"memory ({reason}); expected a step that fits: give more workers (--workers), "
                + _FEWER_ROWS
            )

    def _fitting(self, there: FreeResources, *, settled: bool) -> int:
        """Return how many workers to start now; 0 to wait."""
        most = min(self._rows, self._most or there.total)
        count = min(there.free, most)
        if count < self._least:
            return 0
        return count if count == most or there.free >= there.total or settled else 0

    def _started(self, count: int) -> None:
        # Numbers of workers with too little memory stay excluded.
        if self._reason.startswith("the least"):
            self._least = self._asked.least
        if self._config.batch_norm == "local":
            # Statistics are per worker, so another number of workers is a different experiment.
            self._least = self._most = count
            self._reason = "batch_norm: local gives other numbers on fewer"

    def _check(self, there: FreeResources, waited_s: float) -> None:
        if self._waiting.must_stop():
            raise InterruptedStudyError("stopped while it waited for workers")
        if there.total < self._least and not self._can_grow:
            raise InputError(self._refusal(there))
        if waited_s >= WAIT_S:
            raise InterruptedStudyError(self._explained(there) + f"; gave up after {WAIT_S:.0f} s")

    def _refusal(self, there: FreeResources) -> str:
        if self._reason.startswith("the least"):
            return (
                f"--workers: expected at most {there.total}, the {self._resource}s of the "
                f"cluster, got {self._least}"
            )
        return (
            f"{self._reason}: expected {self._least} {self._resource}s, there are {there.total}; "
            f"resume where more are available, " + _FEWER_ROWS
        )

    def _explained(self, there: FreeResources) -> str:
        return (
            f"waiting for workers: {there.total} {self._resource}s, expected {self._least} or more "
            f"({self._reason})"
        )
