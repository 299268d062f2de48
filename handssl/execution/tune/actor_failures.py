"""Make Ray Tune treat every lost process as the end of one trial, not of the whole study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.execution import tune_controller

from handssl.execution.worker_failures import LOST, meaning_of


class _Manager(RayActorManager):  # type: ignore[misc]
    """Manager of Tune's actors that accepts every error of a lost process.

    Ray's own manager recognizes the end of an actor only by RayActorError and raises RuntimeError
    for all other errors (Ray 2.60), also where the node killed the process because memory ran out.
    """

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        super()._actor_task_failed(tracked_actor_task, as_actor_error(exception))


def as_actor_error(error: Exception) -> Exception:
    """Convert the error of a lost process to the one Tune handles; return any other unchanged.

    Args:
        error: Error raised by a call of an actor.

    Example:
        >>> from ray.exceptions import OutOfMemoryError
        >>> as_actor_error(OutOfMemoryError("1 worker(s) were killed"))
        RayActorError('ray.exceptions.OutOfMemoryError: 1 worker(s) were killed')
        >>> as_actor_error(ValueError("ours"))
        ValueError('ours')
    """
    meaning = None if isinstance(error, RayActorError | RayTaskError) else meaning_of(error)
    if meaning is None or meaning.kind not in LOST:
        return error
    text = f"ray.exceptions.{type(error).__name__}: {error}"
    lost: Exception = RayActorError(error_msg=text)
    lost.args = (text,)
    return lost


@contextmanager
def losses_end_trials() -> Iterator[None]:
    """Use this manager for every Tuner that starts in the block."""
    before = tune_controller.RayActorManager
    tune_controller.RayActorManager = _Manager
    try:
        yield
    finally:
        tune_controller.RayActorManager = before
