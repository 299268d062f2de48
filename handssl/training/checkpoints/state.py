"""Content of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunState:
    """State required to resume a run, after an epoch or within one.

    Attributes:
        epoch: Last complete epoch, counted from 1.
        training: State from `Pretraining.state`: model, optimizer, schedule, and the completed part
            of a stopped epoch.
        configuration: Resolved configuration as plain values.
        fingerprint: Fingerprint of the data.
        results: Metrics of every epoch so far.
        run_id: Id of the tracked run, or None.
    """

    epoch: int
    training: dict[str, Any]
    configuration: dict[str, Any]
    fingerprint: str
    results: list[dict[str, float]]
    run_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the content to write: the parts of the training at the top, for short names."""
        rest = {name: value for name, value in vars(self).items() if name != "training"}
        return {**self.training, "run": rest}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> RunState:
        """Return the state from the content of `to_dict`."""
        training = {name: value for name, value in content.items() if name != "run"}
        return cls(training=training, **content["run"])
