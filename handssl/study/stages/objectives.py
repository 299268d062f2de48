"""Stage of Sec. 4.2: invariance or equivariance to each transformation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from handssl.objectives import ObjectiveName
from handssl.stats.verdict import judge
from handssl.study.cell import Cell, Slug
from handssl.study.stages.base import Names, Selection, Selections, StageBase
from handssl.study.stages.findings import Finding, best_cell
from handssl.transforms import PAPER_SEVEN

RIVALS: tuple[ObjectiveName, ObjectiveName] = ("contrastive", "relative")


class ObjectivesStage(StageBase):
    """Every transformation alone, under both objectives if it has parameters.

    The two arms of a transformation are compared at equal epochs in the same blocks, so neither is
    stopped early. The objective with the smaller mean of the primary measure over the blocks is
    selected for the transformation; one without parameters is contrastive.

    Attributes:
        kind: `objectives`.
        transformations: Transformations to compare; the paper's seven give ten cells.

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

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the contrastive cells, then the relative ones."""
        rivals = [name for name in self.transformations if name in self.regressable]
        alone = [Cell(composition=(name,), exempt=name in rivals) for name in self.transformations]
        relative = [Cell(composition=(n,), objective="relative", exempt=True) for n in rivals]
        return (*alone, *relative)

    def select(self, findings: Sequence[Finding]) -> Selection:
        """Select the objective of every transformation, and the best cell."""
        rivals = [name for name in self.transformations if name in self.regressable]
        alone = [name for name in self.transformations if name not in rivals]
        compared = {name: _better(name, findings) for name in rivals}
        chosen = {name: objective for name, (objective, _) in compared.items()}
        best = best_cell(findings)
        return Selection(
            stage=self.name,
            objective_of={n: chosen.get(n, "contrastive") for n in self.transformations},
            best=best[0] if best else None,
            reasons=(*(reason for _, reason in compared.values()), *_without_rival(alone)),
        )


def _without_rival(names: Sequence[str]) -> tuple[str, ...]:
    text = f"{', '.join(names)}: contrastive, without parameters to predict"
    return (text,) if names else ()


def _better(name: str, findings: Sequence[Finding]) -> tuple[ObjectiveName, str]:
    """Return the objective of a transformation, and the reason."""
    arms = [_by_block(findings, name, objective) for objective in RIVALS]
    blocks = sorted(set(arms[0]) & set(arms[1]))
    if not blocks:
        return "contrastive", f"{name}: contrastive, no block has both arms complete"
    means = [fmean(arm[block] for block in blocks) for arm in arms]
    better = int(means[1] < means[0])
    unit = " mm" if math.isfinite(means[1 - better]) else ""
    values = f"{_mm(means[better])} against {_mm(means[1 - better])}{unit}"
    verdict = judge(arms[better], arms[1 - better])
    return RIVALS[better], f"{name}: {RIVALS[better]} ({values}; {verdict})"


def _by_block(findings: Sequence[Finding], name: str, objective: str) -> dict[int, float]:
    return {
        finding.block: finding.final_mm
        for finding in findings
        if finding.cell.composition == (name,)
        and finding.cell.objective == objective
        and not math.isnan(finding.final_mm)
    }


def _mm(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "diverged"
