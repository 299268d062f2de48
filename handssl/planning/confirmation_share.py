"""Share of a study's training that its confirmation takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handssl.planning.planned_trials import PlannedStage
from handssl.planning.remaining_work import StageWork, work_of
from handssl.study.stages import ConfirmationStage
from handssl.study.study import Study

AIM = 0.1
LEAST_CELLS = 2


@dataclass(frozen=True)
class ConfirmationShare:
    """Planned epochs of a confirmation beside those of the whole study.

    Attributes:
        stage: Name of the stage.
        cells: Number of cells that are confirmed, at most.
        seeds: Number of its seeds.
        epochs: Its expected epochs, of cells and trained references.
        of_epochs: Expected epochs of all stages, those of this one included.
        advised_most: Value of the stage's option `most` with which the share is about 10 %; never
            below two cells.
    """

    stage: str
    cells: int
    seeds: int
    epochs: float
    of_epochs: float
    advised_most: int

    @property
    def share(self) -> float:
        """Share of the study's epochs, 0 to 1."""
        return self.epochs / self.of_epochs


def confirmation_shares(
    study: Study, stages: Sequence[PlannedStage]
) -> tuple[ConfirmationShare, ...]:
    """Return the share of each confirmation, of all epochs whether they are trained yet or not.

    Args:
        study: The study.
        stages: Its planned stages.
    """
    work = work_of(study, stages, {})
    total = sum(one.epochs for one in work)
    own = (one for one in work if isinstance(one.planned.stage, ConfirmationStage))
    return tuple(_share(one, total) for one in own if one.epochs)


def _share(work: StageWork, total: float) -> ConfirmationShare:
    trials = [one for one in work.planned.trained if one.objective != "supervised"]
    cells, seeds = {one.cell for one in trials}, {one.block for one in trials}
    of_cells = sum(trial.epochs for trial in trials)
    allowed = (total - work.epochs) * AIM / (1 - AIM) - (work.epochs - of_cells)
    most = max(LEAST_CELLS, round(allowed * len(cells) / max(1, of_cells)))
    name = work.planned.stage.name
    return ConfirmationShare(name, len(cells), len(seeds), work.epochs, total, most)
