"""Result of a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handssl.errors import InputError
from handssl.execution.trained.models import TrainedTrial, has_encoder
from handssl.ledger.best import best_encoder
from handssl.ledger.record import TrialRecord
from handssl.study.stages import Selection
from handssl.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

METRICS = (
    *("median_mm", "aligned_median_mm", "mpje_mm"),
    *("test_median_mm", "test_aligned_median_mm", "test_mpje_mm"),
)


@dataclass(frozen=True)
class StudyResult:
    """Records of a study's trials, and the locations of its other results.

    Attributes:
        study: The study that was run.
        storage: Folder with the records, checkpoints and, by default, the MLflow store.
        tracking_uri: URI of the MLflow store.
        records: Record of each trial that was started, in the order of the plan.
        planned: Number of trials of the plan.
        interrupted: Whether the run ended before the plan was completed.
        stopped_by: Cause of the interruption: SIGINT, SIGTERM, time, pause, `another driver` that
            has taken the study over, or `missing trials` that were not run.
        selections: Selection of each stage that is over, in order.
    """

    study: Study
    storage: Path
    tracking_uri: str
    records: tuple[TrialRecord, ...]
    planned: int
    interrupted: bool = False
    stopped_by: str = ""
    selections: tuple[Selection, ...] = ()

    @property
    def failed(self) -> tuple[TrialRecord, ...]:
        """Trials that ended with an error; the next run tries them again."""
        return tuple(record for record in self.records if record.outcome == "failed")

    @property
    def best(self) -> TrainedTrial:
        """Completed pretraining with the least median error on `select`.

        Raises:
            InputError: No pretraining is completed.
        """
        done = [
            record
            for record in self.records
            if record.outcome == "completed"
            and has_encoder(self.storage / "trials" / record.trial_id)
        ]
        found = best_encoder(done)
        if found is None:
            raise InputError(f"study {self.study.name}: no pretraining is completed")
        return TrainedTrial(found, self.storage)

    def table(self) -> pd.DataFrame:
        """Return one row per trial: completed ones by median, then those that ended early.

        Returns:
            A frame with trial_id, cell, composition, objective, block, outcome, epoch, epochs and
            the primary measures in mm (NaN if there is none).
        """
        import pandas as pd

        frame = pd.DataFrame([_row(record) for record in self.records], columns=_COLUMNS)
        early = frame["outcome"] != "completed"
        order = frame.assign(early=early).sort_values(["early", "median_mm", "trial_id"]).index
        return frame.loc[order].reset_index(drop=True)


_FIELDS = (
    *("trial_id", "cell", "composition", "objective", "block", "outcome", "epoch", "epochs"),
)
_COLUMNS = [*_FIELDS, *METRICS]


def _row(record: TrialRecord) -> list[object]:
    values = [getattr(record, name) for name in _FIELDS]
    return [*values, *(record.metrics.get(name, float("nan")) for name in METRICS)]
