"""Rehearsal of a whole study: what its halving would run, on recorded or synthetic curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from handssl.errors import InputError
from handssl.scheduling.halving import Arm
from handssl.scheduling.simulation.curves import Curves, synthetic_curves
from handssl.scheduling.simulation.simulate import Simulated, simulate
from handssl.stats.cell_means import adjusted_means
from handssl.study.stages import Selection, Stage
from handssl.study.stages.objectives import ObjectivesStage
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial, plan_stage


@dataclass(frozen=True)
class Rehearsal:
    """Simulated cost and result of a stage.

    Attributes:
        stage: Name of the stage.
        trials: Number of trials that are trained.
        exempt: Number of those that are never stopped.
        simulated: Result of the simulation.
        full_epochs: Epochs of all trials without halving.
        full_makespan: Makespan in epochs without halving, on the same workers.
        regret_mm: Last value of the selected cell minus that of the best in mm; NaN if no trial
            was completed.
        assumed: Selections that earlier stages were assumed to make; empty if there are none.
    """

    stage: str
    trials: int
    exempt: int
    simulated: Simulated
    full_epochs: int
    full_makespan: int
    regret_mm: float
    assumed: str = ""

    @property
    def share(self) -> float:
        """Epochs as a share of those without halving."""
        return self.simulated.epochs / self.full_epochs


def rehearse(
    study: Study, *, curves: Curves | None = None, workers: int = 1, seed: int = 0
) -> list[Rehearsal]:
    """Simulate each stage of a study that compares compositions.

    Stages whose cells are not compositions (a grid of hyperparameters, other data) are skipped.

    Args:
        study: The study.
        curves: Recorded curves with at least the study's epochs; None: synthetic ones.
        workers: Number of trials that run at once.
        seed: Seed of the synthetic curves.

    Raises:
        InputError: The curves are too short, or lack a composition.
    """
    found = []
    for stage in study.all_stages:
        if stage.kind in ("cells", "objectives", "compositions"):
            before, assumed = _assumed(study, stage)
            trials = [
                trial
                for trial in plan_stage(study, stage, before, lambda data: "rehearsed")
                if trial.kind == "trial" and trial.objective != "supervised"
            ]
            found.append(_rehearsed(study, stage, trials, assumed, curves, workers, seed))
    return found


def _assumed(study: Study, stage: Stage) -> tuple[dict[str, Selection], str]:
    """Return assumed selections of earlier stages, and their description."""
    chosen: dict[str, Selection] = {}
    for earlier in study.all_stages:
        if earlier.name in stage.needs and isinstance(earlier, ObjectivesStage):
            names = {name for cell in earlier.cells({}) for name in cell.composition}
            regressable = study.pretrain.augmentation.regressable
            objectives = {n: "relative" if n in regressable else "contrastive" for n in names}
            chosen[earlier.name] = Selection.parse(
                {"stage": earlier.name, "objective_of": objectives}
            )
    words = "transformations with parameters relative, the others contrastive" if chosen else ""
    return chosen, words


def _rehearsed(
    study: Study,
    stage: Stage,
    trials: Sequence[PlannedTrial],
    assumed: str,
    curves: Curves | None,
    workers: int,
    seed: int,
) -> Rehearsal:
    epochs = study.pretrain.epochs
    source = curves or _made_up(trials, study, seed)
    values = {trial.trial_id: _curve(trial, source, epochs) for trial in trials}
    arms = [Arm(t.trial_id, t.block, t.exempt, t.epochs) for t in trials]
    rules = study.halving.rules(epochs) if study.halving else None
    done = simulate(arms, rules, values, workers=workers, epochs=epochs)
    whole = simulate(arms, None, values, workers=workers, epochs=epochs)
    return Rehearsal(
        stage.name,
        len(trials),
        sum(trial.exempt for trial in trials),
        done,
        whole.epochs,
        whole.makespan,
        _regret(trials, done, values),
        assumed,
    )


def _made_up(trials: Sequence[PlannedTrial], study: Study, seed: int) -> Curves:
    names = sorted({name for trial in trials for name in trial.config.composition})
    return synthetic_curves(names, study.blocks, study.pretrain.epochs, seed=seed)


def _curve(trial: PlannedTrial, curves: Curves, epochs: int) -> Sequence[float]:
    if curves.epochs < epochs:
        raise InputError(
            f"--curves: expected curves of {epochs} epochs as the study has, got {curves.epochs}; "
            f"try --set pretrain.epochs={curves.epochs}"
        )
    blocks = sorted(curves.values)
    block = trial.block if trial.block in curves.values else blocks[trial.block % len(blocks)]
    composition = tuple(sorted(trial.config.composition))
    if composition not in curves.values[block]:
        raise InputError(f"--curves: expected a curve of {trial.composition}, found none")
    return curves.values[block][composition][:epochs]


def _regret(
    trials: Sequence[PlannedTrial], done: Simulated, values: Mapping[str, Sequence[float]]
) -> float:
    """Compare the selected cell with the one that is best if all trials run to the end."""
    every: dict[str, list[float]] = {}
    seen: dict[str, dict[int, float]] = {}
    for trial in trials:
        curve = values[trial.trial_id]
        last = curve[-1] if len(curve) == trial.epochs else math.inf
        every.setdefault(trial.cell, []).append(last)
        if done.status[trial.trial_id] == "done" and math.isfinite(last):
            seen.setdefault(trial.cell, {})[trial.block] = last
    if not seen:
        return math.nan
    means = adjusted_means(seen)
    pick = min(sorted(means), key=lambda cell: means[cell])
    return fmean(every[pick]) - min(map(fmean, every.values()))
