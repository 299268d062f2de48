"""Plan of a study: all its trials, in the order in which they are started."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from handssl.data.config import CrossData, DataConfig
from handssl.evaluation.config import cross_probe_id
from handssl.ledger import Ledger, references
from handssl.ledger.record import TrialRecord
from handssl.ledger.references import UNTRAINED, Reference
from handssl.scheduling.stage_scheduler import StageScheduler
from handssl.study.cell import Cell, ProbedCell, data_name
from handssl.study.identity import trial_id
from handssl.study.stages import Selections, Stage
from handssl.study.study import Study
from handssl.training.config import PretrainConfig
from handssl.transforms import composition_name

Kind = Literal["trial"] | references.Kind | references.ProbeKind
SUPERVISED = Cell(objective="supervised", exempt=True)


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a study, or one reference that needs no training.

    Attributes:
        trial_id: Id of the trial, 16 hexadecimal characters.
        cell: Label of the cell, or of the reference.
        block: Seed of the trial; of a reference that is the same for every seed, the first one of
            the study.
        config: Resolved configuration.
        exempt: Never stopped early.
        kind: `trial`, the name of the reference, or the kind of the probe.
        stage: Name of the stage it belongs to.
        data: The dataset; None: the study's.
        needs: Id of the trial whose encoder it probes; empty if it is no probe.
    """

    trial_id: str
    cell: str
    block: int
    config: PretrainConfig
    exempt: bool = True
    kind: Kind = "trial"
    stage: str = ""
    data: DataConfig | None = None
    needs: str = ""

    @property
    def composition(self) -> str:
        """Canonical name of the composition."""
        return composition_name(self.config.composition)

    @property
    def objective(self) -> str:
        """The objective of the encoder, or `reference` if it was not trained."""
        return self.config.objective if self.kind == "trial" or self.needs else "reference"

    @property
    def epochs(self) -> int:
        """Epochs it trains if it is not stopped; 0 for a reference that is not trained."""
        return self.config.epochs if self.kind == "trial" else 0


StudyScheduler = StageScheduler[PlannedTrial]


def plan_study(study: Study, data_fingerprint: str) -> tuple[PlannedTrial, ...]:
    """List the trials of all stages that do not depend on another stage's selection.

    Args:
        study: The study.
        data_fingerprint: Fingerprint of its data.

    Returns:
        Every trial once.
    """
    known = [stage for stage in study.all_stages if not study.needs(stage)]
    return tuple(
        trial
        for stage in known
        for trial in plan_stage(study, stage, {}, lambda data: data_fingerprint)
    )


def plan_stage(
    study: Study, stage: Stage, before: Selections, fingerprint_of: Callable[[DataConfig], str]
) -> tuple[PlannedTrial, ...]:
    """List a stage's trials: block after block, exempt cells first, references last.

    Exempt cells run longest, so starting them first leaves no core idle at the end. References
    take a moment only: at the start they would end while the next actor is still being created, and
    Tune then drops that actor.

    Args:
        study: The study.
        stage: One of its stages.
        before: Selections of earlier stages.
        fingerprint_of: Returns the fingerprint of a dataset.

    Returns:
        Every trial once.
    """
    planner = _Planner(study, stage, study.resolve(stage, before), before, fingerprint_of)
    blocks = enumerate(stage.blocks(study.blocks))
    return tuple(trial for position, block in blocks for trial in planner.block(position, block))


def as_recorded(
    trials: Iterable[PlannedTrial], records: Iterable[TrialRecord]
) -> tuple[PlannedTrial, ...]:
    """Return planned trials with the ids of their records, for results of other numerics.

    References are those that were recorded: another version may have had fewer, or one per block.

    Args:
        trials: Trials of a stage, with the ids of this version.
        records: Records of the study; one belongs to the trial of its stage, cell and block.
    """
    planned = tuple(trials)
    known = {(one.stage, one.cell, one.block): one.trial_id for one in records}
    of_reference = {(one.stage, one.cell): one for one in planned if one.kind != "trial"}
    return (
        *(
            replace(one, trial_id=known.get((one.stage, one.cell, one.block), one.trial_id))
            for one in planned
            if one.kind == "trial"
        ),
        *(
            replace(of_reference[stage, cell], block=block, trial_id=name)
            for (stage, cell, block), name in known.items()
            if (stage, cell) in of_reference
        ),
    )


@dataclass(frozen=True)
class _Planner:
    study: Study
    stage: Stage
    cells: tuple[Cell, ...]
    before: Selections
    fingerprint_of: Callable[[DataConfig], str]

    def block(self, position: int, block: int) -> list[PlannedTrial]:
        exempt = self.stage.exempt(self.cells, position)
        trained = self.stage.trained(self.cells, position)
        cells = sorted(trained, key=lambda cell: cell.label not in exempt)
        untrained: list[Reference] = []
        if self._has_references:
            once = position == 0 and not self._confirms
            untrained = [one for one in UNTRAINED if one.per_block or once]
            cells = [SUPERVISED, *(cell for cell in cells if cell.label != SUPERVISED.label)]
            exempt |= {SUPERVISED.label}
        return [
            *(
                self._trial(one, block, label=cell.label, exempt=cell.label in exempt)
                for cell in cells
                if (one := self.stage.in_block(cell, block, self.before))
            ),
            *(self._reference(one, block) for one in untrained),
            *self._references_across(position, block),
        ]

    def _references_across(self, position: int, block: int) -> list[PlannedTrial]:
        """Return the references of probes on other data; the mean pose needs one block alone."""
        crossings = self.stage.crossings if self.study.references else ()
        per_block = (references.RANDOM_ENCODER,)
        wanted = (references.MEAN_POSE, *per_block) if position == 0 else per_block
        return [self._reference(one, block, data) for data in crossings for one in wanted]

    @property
    def _has_references(self) -> bool:
        """Whether it includes the references: the first stage that isn't a search, confirmations.

        A confirmation has blocks of its own, so it needs those references that differ by block.
        """
        named = [s.name for s in self.study.all_stages if s.kind != "hyperparameters"]
        return self.study.references and (self._confirms or self.stage.name in named[:1])

    @property
    def _confirms(self) -> bool:
        return self.stage.kind == "confirmation"

    def _reference(self, one: Reference, block: int, data: CrossData | None = None) -> PlannedTrial:
        values = self.study.pretrain.model_dump(mode="json") | {"seed": block}
        config = PretrainConfig.parse(one.read(values))
        name = trial_id(config, self.fingerprint_of(data or self.study.data), kind=one.kind)
        label = f"{one.label}, {data_name(data)}" if data else one.label
        return PlannedTrial(
            name, label, block, config, kind=one.kind, stage=self.stage.name, data=data
        )

    def _trial(self, cell: Cell, block: int, *, label: str, exempt: bool) -> PlannedTrial:
        config = self.study.config(cell, block)
        # Rows measured at different epochs are never ranked together.
        exempt = exempt or config.epochs != self.study.pretrain.epochs
        name = trial_id(config, self.fingerprint_of(cell.data or self.study.data))
        if isinstance(cell, ProbedCell):
            return self._probe(cell, block, config, name)
        return PlannedTrial(
            name, label, block, config, exempt, stage=self.stage.name, data=cell.data
        )

    def _probe(
        self, cell: ProbedCell, block: int, config: PretrainConfig, encoder: str
    ) -> PlannedTrial:
        fitted, evaluated = cell.probed.fitted, cell.probed.evaluated
        where = (self.fingerprint_of(fitted), self.fingerprint_of(evaluated))
        return PlannedTrial(
            cross_probe_id(encoder, *where, cell.layer),
            cell.label,
            block,
            config,
            kind=cell.layer,
            stage=self.stage.name,
            data=cell.probed,
            needs=encoder,
        )


def stage_scheduler(
    study: Study,
    stage: str,
    trials: Iterable[PlannedTrial],
    ledger: Ledger,
    *,
    read_only: bool = False,
    log_only: bool = False,
) -> StudyScheduler:
    """Return the scheduler of a stage, with the study's rules of halving.

    Args:
        study: The study.
        stage: Name of the stage.
        trials: All of its trials, in the order of the plan.
        ledger: Ledger with the log.
        read_only: Whether nothing is written.
        log_only: Whether to read the log alone, without the records of the trials.
    """
    epochs = study.pretrain.epochs
    rules = study.halving.rules(epochs) if study.halving else None
    return StageScheduler(
        study.name,
        stage,
        tuple(trials),
        ledger,
        epochs=epochs,
        rules=rules,
        read_only=read_only,
        log_only=log_only,
    )
