"""Stage of Sec. 4.2: invariance or equivariance to each transformation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Annotated, Literal, cast

from pydantic import Field

from handssl.objectives import ObjectiveName
from handssl.stats.decision import Decision, Pair, decide, sensitivity
from handssl.stats.verdict import judge, rounding_mm
from handssl.study.cell import Cell, Slug
from handssl.study.stages.base import Names, Selection, Selections, StageBase
from handssl.study.stages.findings import Finding, best_cell, contenders
from handssl.transforms import PAPER_SEVEN

RIVALS: tuple[ObjectiveName, ObjectiveName] = ("relative", "contrastive")
SHOW_THETA = ("rotate", "scale")
"""Transformations of whose theta one resampling leaves a trace in a view."""
WITHOUT_CUE: dict[str, float] = {"augmentation.view_blur_px": 1.25}
"""Settings that remove the trace of the angle, see benchmarks/leak.md."""
# Attributes of a finding: the noise that words respect, and the one that later stages follow.
_NOISES = ("noise_mm", "first_noise_mm")


class ObjectivesStage(StageBase):
    """Every transformation alone, under both objectives if it has parameters.

    The two arms of a transformation are compared at equal epochs in the same blocks, so neither is
    stopped early. `handssl.stats.decision.decide` says which is better, that they are equivalent,
    or that the seeds do not tell; what follows then is an option of stage `compositions`. A
    transformation without parameters is contrastive.

    The noise of rounding that `handssl study noise` has measured decides too; what later stages
    follow is decided by the noise known when the study was first run, so that a measurement never
    changes which cells belong to a study that has begun.

    With `without_cue` a row stands beside each relative rotate and scale: the same with its views
    blurred, which removes the trace that resampling leaves of theta. These rows choose nothing;
    their difference from the row with the trace is stated.

    Attributes:
        kind: `objectives`.
        transformations: Transformations to compare; the paper's seven give ten cells.
        without_cue: Whether to add the rows without the trace of resampling.
        margin_mm: Margin of equivalence in mm: a smaller difference does not matter. Rounding alone
            moves the error of most trials by 1 to 2 mm, and 1 mm is about 1 % of an error. 0: arms
            are never equivalent.

    Example:
        >>> len(ObjectivesStage().cells({}))
        10
        >>> [cell.label for cell in ObjectivesStage().cells({}) if not cell.exempt]
        ['contrastive blur', 'contrastive cutout', 'contrastive noise', 'contrastive sobel']

    Reference:
        Paper, Sec. 4.2.
    """

    kind: Literal["objectives"] = "objectives"
    name: Slug = "objectives"
    transformations: Names = tuple(PAPER_SEVEN)
    without_cue: bool = False
    margin_mm: Annotated[float, Field(ge=0, le=100)] = 1.0

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the contrastive cells, then the relative ones, then those without the cue."""
        rivals = [name for name in self.transformations if name in self.regressable]
        alone = [Cell(composition=(name,), exempt=name in rivals) for name in self.transformations]
        relative = [Cell(composition=(n,), objective="relative", exempt=True) for n in rivals]
        controls = [
            cell.merged({"settings": WITHOUT_CUE})
            for cell in relative
            if self._has_control(cell.composition[0])
        ]
        return (*alone, *relative, *controls)

    def select(self, findings: Sequence[Finding]) -> Selection:
        """Select the objective of every transformation, and the best cell."""
        rivals = [name for name in self.transformations if name in self.regressable]
        alone = [name for name in self.transformations if name not in rivals]
        controls = [one for one in findings if self._is_control(one.cell)]
        findings = [one for one in findings if not self._is_control(one.cell)]
        decisions, first = (self._decided(rivals, findings, noise) for noise in _NOISES)
        better = {n: cast(ObjectiveName, d.word) for n, d in first.items() if d.is_decided}
        best = best_cell(findings)
        return Selection(
            stage=self.name,
            objective_of={**better, **dict.fromkeys(alone, "contrastive")},
            decisions=decisions,
            best=best[0] if best else None,
            contenders=contenders(findings, best[0]) if best else (),
            reasons=(
                *(f"{n}: {one}{_followed(one, first[n])}" for n, one in decisions.items()),
                *sensitivity(decisions),
                *_without_rival(alone),
                *(_cue(name, findings, controls) for name in rivals if self._has_control(name)),
            ),
        )

    def _decided(
        self, names: Sequence[str], findings: Sequence[Finding], noise: str
    ) -> dict[str, Decision]:
        pairs = {name: _pair(name, findings, noise) for name in names}
        return decide(pairs, margin_mm=self.margin_mm)

    def _has_control(self, name: str) -> bool:
        return self.without_cue and name in SHOW_THETA

    def _is_control(self, cell: Cell) -> bool:
        """Return whether a cell is a row without the cue, whatever searches have added to it."""
        return self.without_cue and WITHOUT_CUE.items() <= cell.settings.items()


def _without_rival(names: Sequence[str]) -> tuple[str, ...]:
    text = f"{', '.join(names)}: contrastive, without parameters to predict"
    return (text,) if names else ()


def _pair(name: str, findings: Sequence[Finding], noise: str) -> Pair:
    arms = [[one for one in findings if _is_arm(one, name, objective)] for objective in RIVALS]
    errors, others = (_by_block(findings, name, objective) for objective in RIVALS)
    sds = (max((getattr(one, noise) for one in arm), default=0.0) for arm in arms)
    return Pair(*RIVALS, errors, others, rounding_mm(errors, others, *sds))


def _followed(decision: Decision, first: Decision) -> str:
    """Say what later stages follow, if noise that was measured since has changed the word."""
    if decision.word == first.word:
        return ""
    return f"; later stages follow what the noise known at the first run says, {first.word}"


def _cue(name: str, findings: Sequence[Finding], controls: Sequence[Finding]) -> str:
    """State the difference between the row of a transformation without the cue and that with it."""
    arms = [_by_block(found, name, "relative") for found in (controls, findings)]
    blocks = sorted(set(arms[0]) & set(arms[1]))
    if not blocks:
        return f"{name} without the resampling cue: no block has both rows complete"
    without, with_it = (fmean(arm[block] for block in blocks) for arm in arms)
    values = f"{_mm(without)} against {_mm(with_it)}" + (" mm" if math.isfinite(with_it) else "")
    return f"{name} without the resampling cue: {values} ({judge(*arms)}); not part of the choice"


def _by_block(findings: Sequence[Finding], name: str, objective: str) -> dict[int, float]:
    return {
        finding.block: finding.final_mm
        for finding in findings
        if _is_arm(finding, name, objective) and not math.isnan(finding.final_mm)
    }


def _is_arm(finding: Finding, name: str, objective: str) -> bool:
    return finding.cell.composition == (name,) and finding.cell.objective == objective


def _mm(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "diverged"
