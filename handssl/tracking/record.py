"""A trial as it stands, and what one of its epochs gave."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from handssl.config import Config

Outcome = Literal["running", "completed", "stopped", "diverged", "failed", "cancelled"]


class TrialRecord(Config):
    """A trial as it stands.

    Attributes:
        trial_id: Hash of what determines its result.
        study: Name of the study that ran it first; likewise stage.
        cell: Label of the cell, or of the reference.
        composition: In canonical order, `none` if empty.
        objective: What the encoder is trained for, or `reference` where nothing is trained.
        block: The seed.
        outcome: `running` also after an interruption, until the trial is continued.
        epoch: The last one recorded, 0 before the first.
        epochs: Planned.
        metrics: Of that epoch.
        mlflow_run_id: Of its run, once there is one.
        tags: Anything else worth keeping, e.g. why it failed.
        config: The resolved configuration.
    """

    trial_id: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    study: str
    stage: str
    cell: str
    composition: str
    objective: str
    block: int
    outcome: Outcome
    epoch: int = 0
    epochs: int
    metrics: dict[str, float] = Field(default_factory=dict)
    mlflow_run_id: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)


class EpochMetrics(Config):
    """What one epoch gave, or one sample of the machine's load.

    Attributes:
        epoch: Counts from 1, references have a single epoch 0; samples count from 0.
        metrics: By name.
        time_ms: When it was recorded, since 1970. With it a point is the same however often it is
            sent to MLflow, which keeps equal points once. Absent in records of early versions.
    """

    epoch: int
    metrics: dict[str, float]
    time_ms: int | None = None
