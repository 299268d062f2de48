"""Trials without a last value by stage and cause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handssl.execution.status import StageStatus

CAUSES = ("stopped", "diverged", "failed", "cancelled", "not finished", "not begun")
_CAUSE_OF = {"running": "not finished", "waiting": "not finished", "to do": "not begun"}


@dataclass(frozen=True)
class StageCount:
    """Trials of a stage that have no last value.

    Attributes:
        stage: Name of the stage.
        trials: Number of all its trials.
        by_cause: Number of those without a last value, for each of `CAUSES`.
    """

    stage: str
    trials: int
    by_cause: tuple[int, ...]

    def __str__(self) -> str:
        """Return the counts above 0."""
        known = zip(CAUSES, self.by_cause, strict=True)
        parts = ", ".join(f"{count} {cause}" for cause, count in known if count)
        return f"{self.stage}: of {self.trials} trials {parts}"


def counts(stages: Iterable[StageStatus]) -> tuple[StageCount, ...]:
    """Count the trials without a last value, for each stage that has some.

    Args:
        stages: Status of a study's stages.
    """
    found = []
    for stage in stages:
        causes = [_CAUSE_OF.get(one.state, one.state) for one in stage.trials]
        by_cause = tuple(causes.count(cause) for cause in CAUSES)
        if any(by_cause):
            found.append(StageCount(stage.name, len(causes), by_cause))
    return tuple(found)
