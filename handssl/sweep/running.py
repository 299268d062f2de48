"""How a sweep is run, apart from what it computes: no part of any identity."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handssl.config import Config
from handssl.errors import InputError
from handssl.training.execution import Execution

Count = Annotated[int, Field(ge=1)]


class Running(Config):
    """What trials are given, and what happens when one of them is in trouble.

    Attributes:
        address: Of a Ray cluster whose nodes see the storage, as `ray.init` takes it; None: the
            one that the caller has connected to, else that of $RAY_ADDRESS, else a Ray of its own,
            as with `local`.
        workers: Ray Train workers of each trial; 1 trains in a reused actor, which costs seconds
            less a trial.
        at_once: Trials that run at the same time, at most; None: as many as fit.
        trials_per_gpu: Trials that share a GPU, where there is one worker each; None: as many as
            its memory has room for, at most four, and one where its memory is not known.
        retries: How often a trial is given to another process after its own was lost.
        silence_s: A trial that has not ended an epoch for as long is ended, and counts as lost.
        wave: Segments of trials after which Ray Tune begins anew, so that its memory is bounded.
        patience_s: How long to wait where another driver runs the study, before giving up.
        checkpoint_bytes: What checkpoints of all trials may take together; those of trials that
            are over go first, and those that are needed to go on never.
        execution: How each trial is computed.

    Example:
        >>> Running(at_once=2).retries
        2
    """

    address: str | None = None
    workers: Count = 1
    at_once: Count | None = None
    trials_per_gpu: Annotated[int, Field(ge=1, le=64)] | None = None
    retries: Annotated[int, Field(ge=0)] = 2
    silence_s: Annotated[float, Field(gt=0)] = 3600.0
    wave: Count = 500
    patience_s: Annotated[float, Field(ge=0)] = 0.0
    checkpoint_bytes: Count | None = None
    execution: Execution = Execution()

    def require(self, cpus: int, gpus: int) -> None:
        """Refuse what a cluster can never give.

        Args:
            cpus: Of the cluster.
            gpus: Likewise; workers take one each where there are some.

        Raises:
            InputError: More workers than that.
        """
        there, kind = (gpus, "GPUs") if gpus else (cpus, "CPUs")
        if self.workers > 1 and self.workers > there:
            raise InputError(
                f"--workers: expected at most {there}, the {kind} of the cluster, got "
                f"{self.workers}"
            )
