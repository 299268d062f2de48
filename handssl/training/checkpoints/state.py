"""What a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunState:
    """All that continues a run, after an epoch or within one.

    Attributes:
        epoch: The last complete one, counted from 1.
        training: What `Pretraining.state` gives: model, optimizer, schedule, and what was done of
            an epoch that was stopped.
        configuration: The resolved one, plain values.
        fingerprint: Of the data.
        results: Metrics of every epoch so far.
        run_id: Of the tracked run, if there is one.
    """

    epoch: int
    training: dict[str, Any]
    configuration: dict[str, Any]
    fingerprint: str
    results: list[dict[str, float]]
    run_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what is written: the parts of the training at the top, so names stay short."""
        rest = {name: value for name, value in vars(self).items() if name != "training"}
        return {**self.training, "run": rest}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> RunState:
        """Return the state that `to_dict` gave."""
        training = {name: value for name, value in content.items() if name != "run"}
        return cls(training=training, **content["run"])
