"""Confirmation stage: the winner of an earlier stage on seeds that have selected nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from handssl.stats.contrasts import mean_effect
from handssl.stats.paired import Errors
from handssl.stats.verdict import Verdict, judge, rounding_mm
from handssl.study.cell import Cell, Seed, Slug
from handssl.study.stages.base import CHOOSE_A_CELL, Selection, Selections, StageBase
from handssl.study.stages.findings import Finding, final_errors, noise_by_cell

LEAST_SEEDS = 3


class ConfirmationStage(StageBase):
    """The winner, its runners-up and the references on fresh seeds; none is ever stopped.

    The error of a cell that was selected for its error is too low, on `test` as on `select`: cell
    and seed were selected together. Here the winner is named before the first trial, so its error
    on these seeds is the one to report, and the runners-up tell whether it is the best.

    Attributes:
        kind: `confirmation`.
        after: Name of the stage whose winner is confirmed.
        seeds: Seeds of its blocks, at least three; blocks of no other stage.
        most: Greatest number of cells: the winner and those that cannot be told from it, at least
            one of them.

    Reference:
        S. Zöllner, J. Pritchard, "Overcoming the winner's curse: estimating penetrance parameters
        from case-control data", American Journal of Human Genetics 2007.
    """

    kind: Literal["confirmation"] = "confirmation"
    name: Slug = "confirmation"
    after: Slug = "compositions"
    seeds: Annotated[tuple[Seed, ...], Field(min_length=LEAST_SEEDS)] = (2001, 2002, 2003)
    most: Annotated[int, Field(ge=2)] = 5
    _follows: ClassVar[tuple[str, ...]] = CHOOSE_A_CELL

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a seed is listed twice")
        return value

    def blocks(self, common: tuple[int, ...]) -> tuple[int, ...]:
        """Return its own seeds."""
        return self.seeds

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the winner and its runners-up, by their mean in the earlier stage."""
        chosen = before[self.after]
        cells = chosen.contenders or ((chosen.best,) if chosen.best else ())
        return tuple(cell.merged({"exempt": True}) for cell in cells[: self.most])

    def decide(self, findings: Sequence[Finding], before: Selections) -> Selection:
        """Return the winner as named before, with its error here and whether it is confirmed."""
        cells = self.resolved(before)
        if not cells:
            return Selection(stage=self.name, reasons=("no winner was selected",))
        found = final_errors(findings)
        errors = {cell.label: found.get(cell.label, {}) for cell in cells}
        reasons = (confirmation(errors, noise_by_cell(findings)),)
        return Selection(stage=self.name, best=cells[0], contenders=cells, reasons=reasons)


def confirmation(errors: Mapping[str, Errors], noise_mm: Mapping[str, float] | None = None) -> str:
    """Return the error of the winner on fresh seeds, and whether it is confirmed.

    It is confirmed if it is better than every runner-up, by more than the noise of rounding;
    intervals hold for all of them together.

    Args:
        errors: Errors in mm by cell, the winner first, infinite where a trial diverged.
        noise_mm: Standard deviation of repeats in mm by cell, where it is known.

    Example:
        >>> confirmation({"a": {11: 60.0, 12: 61.0, 13: 60.5}})
        'a: 60.5 mm (95 % interval 59.3 to 61.7) with 3 fresh seeds; undecided: no runner-up'
    """
    winner, *others = errors
    known = noise_mm or {}

    def against(other: str) -> Verdict:
        ours, theirs = errors[winner], errors[other]
        noise = rounding_mm(ours, theirs, known.get(winner, 0.0), known.get(other, 0.0))
        return judge(ours, theirs, noise_mm=noise, cells=len(others))

    return f"{_error(winner, errors[winner])}; {_outcome({one: against(one) for one in others})}"


def _error(winner: str, errors: Errors) -> str:
    """Return the error of the winner with its interval for seeds in general."""
    known = [mm for mm in errors.values() if math.isfinite(mm)]
    if len(known) < len(errors) or not known:
        return f"{winner}: completed with {len(known)} of {len(errors)} fresh seeds"
    found = mean_effect(winner, known)
    interval = f" (95 % interval {found.low:.1f} to {found.high:.1f})" if len(known) > 1 else ""
    return f"{winner}: {found.mm:.1f} mm{interval} with {len(known)} fresh seeds"


def _outcome(verdicts: Mapping[str, Verdict]) -> str:
    """Return whether the winner is confirmed: better than every runner-up, all together."""
    if not verdicts:
        return "undecided: no runner-up"
    worse = [name for name, one in verdicts.items() if one.word == "not better"]
    open_ = [name for name, one in verdicts.items() if one.word == "undecided"]
    if worse:
        return f"not confirmed: {worse[0]} is better, {verdicts[worse[0]].reason}"
    if open_:
        return f"undecided against {open_[0]}: {verdicts[open_[0]].reason}"
    (name, closest) = max(verdicts.items(), key=lambda one: one[1].mm)
    if len(verdicts) == 1:
        return f"confirmed: better than its only runner-up {name}, {closest.reason}"
    count = "both" if len(verdicts) == 2 else f"all {len(verdicts)}"
    return f"confirmed: better than {count} runners-up, the closest is {name}, {closest.reason}"
