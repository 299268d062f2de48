"""Execution options of a sweep, which are not part of any identity."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handssl.config import Config
from handssl.errors import InputError
from handssl.training.execution import Execution

Count = Annotated[int, Field(ge=1)]


class ExecutionOptions(Config):
    """Execution options: resources of trials, and handling of lost ones.

    Attributes:
        address: Address of a Ray cluster whose nodes see the storage, as `ray.init` takes it; None:
            the one that the caller has connected to, else that of $RAY_ADDRESS, else a local Ray
            (also `local`).
        workers: Ray Train workers of each trial; with 1, trials run in reused actors, which saves
            seconds per trial.
        max_concurrent_trials: Maximum number of trials at the same time; None: as many as fit.
        trials_per_gpu: Trials that share a GPU, with one worker each; None: as many as fit into its
            memory, at most four, and one if its memory is not known.
        retries: How often a trial is given to another process after its process was lost.
        hang_timeout_s: Seconds without a finished epoch after which a trial's process is killed and
            counts as lost.
        wave: Segments of trials after which Ray Tune is restarted, so that its memory is bounded.
        patience_s: Seconds to wait for another driver of the study before giving up.
        checkpoint_bytes: Limit for the checkpoints of all trials together in bytes; those of trials
            that are over are removed first, those needed to resume never; None: no limit.
        execution: Execution options of each trial.

    Example:
        >>> ExecutionOptions(max_concurrent_trials=2).retries
        2
    """

    address: str | None = None
    workers: Count = 1
    max_concurrent_trials: Count | None = None
    trials_per_gpu: Annotated[int, Field(ge=1, le=64)] | None = None
    retries: Annotated[int, Field(ge=0)] = 2
    hang_timeout_s: Annotated[float, Field(gt=0)] = 3600.0
    wave: Count = 500
    patience_s: Annotated[float, Field(ge=0)] = 0.0
    checkpoint_bytes: Count | None = None
    execution: Execution = Execution()

    def require(self, cpus: int, gpus: int) -> None:
        """Check that the cluster has enough resources for the workers of a trial.

        Args:
            cpus: CPUs of the cluster.
            gpus: GPUs of the cluster; if there are any, each worker uses one.

        Raises:
            InputError: There are more workers than CPUs or GPUs.
        """
        there, kind = (gpus, "GPUs") if gpus else (cpus, "CPUs")
        if self.workers > 1 and self.workers > there:
            raise InputError(
                f"--workers: expected at most {there}, the {kind} of the cluster, got "
                f"{self.workers}"
            )
