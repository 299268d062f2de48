"""Cells and references of a report with the predictions that their trials keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from handssl.errors import HandsslError
from handssl.ledger import has_results
from handssl.report.sections import main_sections
from handssl.runtime.shell_commands import command

if TYPE_CHECKING:
    from handssl.execution.trained.predictions import KeptPredictions
    from handssl.pose.hand_errors import HandErrors
    from handssl.report.ranking import CellRow
    from handssl.report.study_report import StudyReport

MOST = 20
"""Number of best cells whose predictions are read, besides the references."""


@dataclass(frozen=True, eq=False)
class PredictedCell:
    """A cell or reference whose trials keep their predictions.

    Attributes:
        name: Label of the cell.
        objective: Its objective, or `reference`.
        blocks: Seeds of the trials, ascending.
        trials: Predictions in these blocks; a reference that is the same for all seeds has one.
    """

    name: str
    objective: str
    blocks: tuple[int, ...]
    trials: tuple[KeptPredictions, ...]

    @cached_property
    def errors(self) -> tuple[HandErrors, ...]:
        """Errors on `test` under the primary protocol, by trial."""
        return tuple(one.errors("test") for one in self.trials)


@dataclass(frozen=True, eq=False)
class PredictedCells:
    """Best cells and references of a study, as far as they have predictions.

    Attributes:
        cells: Cells, the best first.
        references: References, the best first.
        note: What is missing and how to make it; empty if nothing is.
    """

    cells: tuple[PredictedCell, ...] = ()
    references: tuple[PredictedCell, ...] = ()
    note: str = ""


def predicted_cells(found: StudyReport, most: int = MOST) -> PredictedCells:
    """Read the predictions of the best cells and the references of the last compared stage.

    Args:
        found: Report of the study.
        most: Number of best cells.
    """
    done = [one.ranking for one in main_sections(found.rows) if one.ranking.trials]
    if not done:
        return PredictedCells()
    chosen = done[-1].trials[:most]
    references = [cell for cell in done[-1].finished if cell.first.kind == "reference"]
    if found.records and not has_results(found.storage):  # read from MLflow alone
        return PredictedCells(note=f"{found.storage} does not hold the predictions of the trials")
    reader = _Reader(found)
    cells, others = reader.read(chosen), reader.read(references)
    return PredictedCells(cells, others, reader.note)


class _Reader:
    """Reads files and remembers those that are missing."""

    def __init__(self, found: StudyReport) -> None:
        self._storage = found.storage
        self._records = {record.trial_id: record for record in found.records}
        self._without, self._reasons = 0, list[str]()

    def read(self, cells: Iterable[CellRow]) -> tuple[PredictedCell, ...]:
        """Return the cells of which every finished trial has its predictions."""
        return tuple(filter(None, map(self._cell, cells)))

    @property
    def note(self) -> str:
        """What is missing, why, and the command that makes it."""
        make = command("predictions", "make", storage=self._storage)
        said = [
            f"{_trials(self._without)} no predictions, since an earlier version completed "
            f"{'it' if self._without == 1 else 'them'}; make them with {make}"
        ]
        said = said if self._without else []
        if self._reasons:
            count = _trials(len(self._reasons))
            said.append(f"{count} predictions that cannot be read: {self._reasons[0]}")
        return ". ".join(said)

    def _cell(self, cell: CellRow) -> PredictedCell | None:
        names = dict.fromkeys(row.trial_id for row in cell.done)
        kept = [self._trial(name) for name in names]
        trials = tuple(one for one in kept if one is not None)
        if not trials or len(trials) < len(names):
            return None
        objective = "reference" if cell.first.kind == "reference" else cell.first.objective
        blocks = tuple(row.block for row in cell.done)
        return PredictedCell(cell.first.label, objective, blocks, trials)

    def _trial(self, name: str) -> KeptPredictions | None:
        from handssl.evaluation.predictions import FILE
        from handssl.execution.trained.predictions import of_record  # imports torch

        record = self._records.get(name)
        if record is None:
            return None
        if not (self._storage / "trials" / name / FILE).is_file():
            self._without += 1
            return None
        try:
            kept = of_record(record, self._storage)
            kept.labels("test")
        except HandsslError as error:
            self._reasons.append(str(error))
            return None
        return kept


def _trials(count: int) -> str:
    return "1 trial has" if count == 1 else f"{count} trials have"
