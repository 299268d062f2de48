"""Record of a trial's current state, and metrics of one of its epochs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from handssl.config import Config

Outcome = Literal["running", "completed", "stopped", "diverged", "failed", "cancelled"]


class TrialRecord(Config):
    """Current state of a trial.

    Attributes:
        trial_id: Hash of all that determines the trial's result, 8 to 64 hexadecimal characters.
        study: Name of the study that ran it first.
        stage: Name of the stage that ran it first.
        cell: Label of the cell, or of the reference.
        composition: Transformations in canonical order, `none` if empty.
        objective: Name of the training objective, or `reference` if nothing is trained.
        block: The seed.
        outcome: `running` also after an interruption, until the trial is continued.
        epoch: The last recorded epoch, 0 before the first.
        epochs: Number of planned epochs.
        metrics: Metrics of the last recorded epoch, by name.
        mlflow_run_id: Id of its MLflow run; None before there is one.
        tags: Other information, e.g. why it failed.
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
    """Metrics of one epoch, or one sample of the machine's load.

    Attributes:
        epoch: Counts from 1, references have a single epoch 0; samples count from 0.
        metrics: Values by name.
        time_ms: Time of recording, Unix milliseconds. It makes a point identical each time it is
            sent to MLflow, which keeps equal points once. None in records of early versions.
    """

    epoch: int
    metrics: dict[str, float]
    time_ms: int | None = None
