"""The log of a study: events seen by its scheduler, in order of arrival."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["reported", "diverged", "failed", "retried", "stopped", "cancelled"]


class LogEntry(NamedTuple):
    """One entry; equal entries are kept once.

    Attributes:
        study: Name of the study.
        stage: Name of the stage.
        trial_id: Id of the trial.
        kind: Kind of event.
        epoch: Epoch after which it happened; for `failed` and `retried` the number of the attempt
            that failed or begins, the first being 0; for `diverged` and `cancelled` 0.
        value: The primary measure on `select` in mm, None if there is none.
    """

    study: str
    stage: str
    trial_id: str
    kind: Kind
    epoch: int
    value: float | None = None


StudyLog = tuple[LogEntry, ...]
