"""Result of a job's study, as the service sends it and the client returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas as pd

FormatName = Literal["html", "markdown", "latex", "csv"]
SUFFIXES: dict[FormatName, str] = {
    "html": ".html",
    "markdown": ".md",
    "latex": ".tex",
    "csv": ".csv",
}


class Errors(BaseModel):
    """Errors in mm after the last epoch; None if missing.

    Attributes:
        median_mm: Primary measure: median error on `select`, root-relative.
        aligned_mm: Median error on `select` after Procrustes alignment.
        mpje_mm: Mean error on `select`, root-relative.
        test_median_mm: The primary measure on `test`.
        test_aligned_mm: Median error on `test` after Procrustes alignment.
        test_mpje_mm: Mean error on `test`, root-relative.
    """

    median_mm: float | None = None
    aligned_mm: float | None = None
    mpje_mm: float | None = None
    test_median_mm: float | None = None
    test_aligned_mm: float | None = None
    test_mpje_mm: float | None = None


class ResultCell(Errors):
    """A cell, or a reference, with its mean errors over blocks.

    Attributes:
        rank: Place among the cells of its section, from 1; None for references and cells that
            ended early.
        cell: Label of the cell.
        title: What tells it from the other cells of its section.
        objective: Name of the objective, or `reference`.
        interval_mm: 95 % interval of the mean of `median_mm`, for the cell alone; None with fewer
            than two blocks.
        blocks: Seeds of the blocks in which it finished.
        outcome: Worst outcome of its blocks; `incomplete` if some are missing.
    """

    rank: int | None
    cell: str
    title: str
    objective: str
    interval_mm: tuple[float, float] | None
    blocks: list[int]
    outcome: str


class ResultSection(BaseModel):
    """Cells that can be ranked in one list.

    Attributes:
        title: Title; empty if it is the only section.
        stage: Name of the stage.
        kind: Kind of the stage; empty if unknown.
        data: Name of the data if it differs from that of the study, else empty.
        epochs: Planned number of epochs of its trials.
        planned: Whether it belongs to the current plan.
        cells: Ranked cells and references by mean error, then the cells that ended early.
    """

    title: str
    stage: str
    kind: str
    data: str
    epochs: int
    planned: bool
    cells: list[ResultCell]


class ResultTrial(Errors):
    """A trial, or a reference, of one block in one stage.

    Attributes:
        trial_id: Id of the trial; empty if unknown.
        stage: Name of the stage.
        cell: Label of the cell.
        composition: Transformations in canonical order, `none` if empty.
        objective: Name of the objective, or `reference`.
        block: The seed.
        outcome: Outcome in this stage; `running` also while it waits.
        epoch: Last recorded epoch.
        epochs: Planned number of epochs.
        has_weights: Whether its encoder can be fetched.
    """

    trial_id: str
    stage: str
    cell: str
    composition: str
    objective: str
    block: int
    outcome: str
    epoch: int
    epochs: int
    has_weights: bool


class BestTrial(BaseModel):
    """The best encoder: that of the completed pretraining with the least median on `select`.

    Attributes:
        trial_id: Id of the trial.
        cell: Label of its cell.
        block: Its seed.
        median_mm: Its median error on `select` in mm.
    """

    trial_id: str
    cell: str
    block: int
    median_mm: float


class JobResult(BaseModel):
    """Result of a job's study, so far or at its end.

    Attributes:
        study: Name of the study.
        made_s: Time at which it was read from the ledger, Unix seconds.
        headline: What the results say, in sentences.
        best: The best trial with weights; None while there is none.
        sections: Tables of the report: cells by stage, data and length.
        trials: One entry for each trial of each stage, and each reference.
        selections: Choices of the finished stages.
    """

    study: str
    made_s: float
    headline: list[str]
    best: BestTrial | None
    sections: list[ResultSection]
    trials: list[ResultTrial]
    selections: list[dict[str, Any]]

    def table(self) -> pd.DataFrame:
        """Return one row per trial: completed ones by median, then those that ended early."""
        import pandas as pd

        frame = pd.DataFrame(
            [one.model_dump() for one in self.trials], columns=list(ResultTrial.model_fields)
        )
        early = frame["outcome"] != "completed"
        order = frame.assign(early=early).sort_values(["early", "median_mm", "trial_id"]).index
        return frame.loc[order].reset_index(drop=True)
