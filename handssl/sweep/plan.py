"""The plan: every trial a study asks for, in the order in which they are started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handssl.augment import composition_name
from handssl.sweep.identity import trial_id
from handssl.sweep.study import Cell, Study
from handssl.training.config import PretrainConfig

Kind = Literal["trial", "mean_pose", "random_encoder"]
SUPERVISED = Cell(objective="supervised", exempt=True)


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a study, or one reference that needs no training.

    Attributes:
        trial_id: 16 hexadecimal characters.
        cell: Label of the cell, or of the reference.
        block: The seed.
        config: Resolved configuration.
        exempt: Never stopped early.
        kind: `trial`, or the reference it is.
    """

    trial_id: str
    cell: str
    block: int
    config: PretrainConfig
    exempt: bool = True
    kind: Kind = "trial"

    @property
    def composition(self) -> str:
        """Canonical name of the composition."""
        return composition_name(self.config.composition)

    @property
    def objective(self) -> str:
        """The objective, or `reference` where nothing is trained."""
        return self.config.objective if self.kind == "trial" else "reference"

    @property
    def epochs(self) -> int:
        """Epochs it trains when nothing stops it; 0 for a reference that is not trained."""
        return self.config.epochs if self.kind == "trial" else 0


def plan_study(study: Study, data_fingerprint: str) -> tuple[PlannedTrial, ...]:
    """List a study's trials: block after block, exempt cells first, references last.

    Exempt cells run longest, so starting them first leaves no core idle at the end. References
    take a moment only: at the start they would end while the next actor is still being made, and
    Tune then drops that actor.

    Args:
        study: The study.
        data_fingerprint: Of its data.

    Returns:
        Every trial once.
    """
    return tuple(
        trial for block in study.blocks for trial in _plan_block(study, block, data_fingerprint)
    )


def _plan_block(study: Study, block: int, fingerprint: str) -> list[PlannedTrial]:
    cells = sorted(study.cells, key=lambda cell: not cell.exempt)
    untrained: tuple[Kind, ...] = ()
    if study.references:
        untrained = ("mean_pose", "random_encoder")
        cells = [SUPERVISED, *(cell for cell in cells if cell.label != SUPERVISED.label)]
    return [
        *(_trial(study, cell, block, fingerprint) for cell in cells),
        *(_reference(study, kind, block, fingerprint) for kind in untrained),
    ]


def _reference(study: Study, kind: Kind, block: int, fingerprint: str) -> PlannedTrial:
    config = PretrainConfig(encoder=study.pretrain.encoder, seed=block)
    name = trial_id(config, fingerprint, kind=kind)
    return PlannedTrial(name, kind.replace("_", " "), block, config, kind=kind)


def _trial(study: Study, cell: Cell, block: int, fingerprint: str) -> PlannedTrial:
    config = study.config(cell, block)
    return PlannedTrial(trial_id(config, fingerprint), cell.label, block, config, cell.exempt)
