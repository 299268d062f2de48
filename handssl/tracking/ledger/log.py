"""The log of a study: what its scheduler has seen, in the order in which it came."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["reported", "diverged", "failed", "retried", "stopped", "cancelled"]


class LogEntry(NamedTuple):
    """One entry; the same one is kept once.

    Attributes:
        study: Name of the study.
        stage: Name of the stage.
        trial_id: Of which trial.
        kind: What happened to it.
        epoch: After which epoch; of `failed` and `retried` the number of the attempt that failed or
            begins, the first being 0; of `diverged` and `cancelled` 0.
        value: The primary measure on `select` in mm, where there is one.
    """

    study: str
    stage: str
    trial_id: str
    kind: Kind
    epoch: int
    value: float | None = None


StudyLog = tuple[LogEntry, ...]
