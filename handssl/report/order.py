"""Order check: mean pose > random encoder > best self-supervised > supervised, per block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from handssl.report.rows import Row
from handssl.report.sections import main_sections
from handssl.stats.verdict import Verdict, judge

STEPS = ("mean pose", "random encoder", "best self-supervised", "supervised")


@dataclass(frozen=True)
class OrderStep:
    """One of the four steps of the order in one block.

    Attributes:
        name: One of `STEPS`.
        row: The finished row of this step; None if there is none.
    """

    name: str
    row: Row | None

    @property
    def select_mm(self) -> float | None:
        """Primary metric on `select`, in mm."""
        return self.row.median_mm if self.row else None

    @property
    def test_mm(self) -> float | None:
        """Primary metric on `test`, in mm."""
        return self.row.test_median_mm if self.row else None


@dataclass(frozen=True)
class BlockOrder:
    """The order in one block.

    Attributes:
        block: Seed of the block.
        steps: Steps in the claimed order, one for each of `STEPS`.
    """

    block: int
    steps: tuple[OrderStep, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the steps without a finished row."""
        return tuple(step.name for step in self.steps if step.select_mm is None)

    @property
    def failures(self) -> tuple[str, ...]:
        """Claims that the values on `select` contradict, e.g. `mean pose > random encoder`."""
        return tuple(
            f"{upper.name} > {lower.name}"
            for upper, lower in pairwise(self.steps)
            if upper.select_mm is not None
            and lower.select_mm is not None
            and not upper.select_mm > lower.select_mm
        )

    @property
    def descends(self) -> bool:
        """Whether all four exist and strictly descend on `select`, which decides."""
        return _descends([step.select_mm for step in self.steps])

    @property
    def descends_on_test(self) -> bool:
        """Whether the same four descend on `test`, which is only reported."""
        return _descends([step.test_mm for step in self.steps])

    def __str__(self) -> str:
        named = [_named(step) for step in self.steps]
        select = _chain(named, [step.select_mm for step in self.steps])
        plain = [_mm(step.test_mm) for step in self.steps]
        test = _chain(plain, [step.test_mm for step in self.steps])
        return f"block {self.block}: {select} mm: {self.finding}\n  on test: {test} mm"

    @property
    def finding(self) -> str:
        """What its values show, in words."""
        problems = [f"{name} is missing" for name in self.missing]
        problems += [f"not in order at {claim}" for claim in self.failures]
        return ", ".join(problems) or "in order"


@dataclass(frozen=True)
class OrderCheck:
    """The order in every block of a report.

    Attributes:
        blocks: Orders of the blocks, ascending by seed.
    """

    blocks: tuple[BlockOrder, ...]

    @property
    def word(self) -> Literal["held", "failed", "undecided"]:
        """Whether the order holds for seeds in general, by the interval of each step."""
        words = [verdict.word for verdict in self._steps.values()]
        if "not better" in words:
            return "failed"
        return "held" if words and set(words) == {"better"} else "undecided"

    @property
    def verdict(self) -> str:
        """Sentence with the number of blocks in order, and what that decides."""
        held = sum(block.descends for block in self.blocks)
        on_test = sum(block.descends_on_test for block in self.blocks)
        total = len(self.blocks)
        plural = "block" if total == 1 else "blocks"
        count = f"In order in {held} of {total} {plural} on select, in {on_test} on test"
        return f"{count}; {self._decision}."

    @property
    def _decision(self) -> str:
        if self.word == "held":
            return "it held, the 95 % interval of each step excludes 0"
        wanted = "not better" if self.word == "failed" else "undecided"
        reasons = {one: v.reason for one, v in self._steps.items() if v.word == wanted}
        if not reasons or set(reasons.values()) == {"one seed"}:
            return "undecided: one seed" if reasons else "undecided: no block"
        steps = ", ".join(f"{claim} ({reason})" for claim, reason in reasons.items())
        return f"{self.word} at {steps}"

    @cached_property
    def _steps(self) -> dict[str, Verdict]:
        """The verdict on each step of the order."""
        errors = [
            {
                block.block: mm
                for block in self.blocks
                if (mm := block.steps[place].select_mm) is not None
            }
            for place in range(len(STEPS))
        ]
        pairs = zip(pairwise(STEPS), pairwise(errors), strict=True)
        if not self.blocks:
            return {}
        return {f"{a} > {b}": judge(lower, upper) for (a, b), (upper, lower) in pairs}

    def __str__(self) -> str:
        head = (
            "Order by median error: mean pose > random encoder > best self-supervised > supervised"
        )
        return "\n".join([head, *map(str, self.blocks), self.verdict])


def order_check(rows: Iterable[Row]) -> OrderCheck:
    """Check the order in every block.

    Only finished rows of stages that compare cells on the study's own data count; the best
    self-supervised trial is chosen on `select`.

    Args:
        rows: Rows of one study.

    Example:
        >>> rows = [
        ...     Row("mean pose", "none", "reference", 1, "completed", 0, 0, 78.8, kind="reference"),
        ...     Row("relative rotate", "rotate", "relative", 1, "completed", 6, 6, 62.0),
        ... ]
        >>> order_check(rows).blocks[0].missing
        ('random encoder', 'supervised')
    """
    counting = {row: None for section in main_sections(rows) for row in section.rows}
    ordered = sorted(counting, key=lambda row: (row.block, row.label))
    blocks = sorted({row.block for row in ordered})
    return OrderCheck(
        tuple(
            _block_order(block, [row for row in ordered if row.block == block]) for block in blocks
        )
    )


def _block_order(block: int, rows: Sequence[Row]) -> BlockOrder:
    done = [row for row in rows if row.finished]
    takers: dict[str, Row] = {row.label: row for row in done if row.kind == "reference"}
    trials = [row for row in done if row.kind == "trial"]
    if trials:
        takers["best self-supervised"] = min(trials, key=lambda row: row.median_mm or 0.0)
    return BlockOrder(block, tuple(OrderStep(name, takers.get(name)) for name in STEPS))


def _descends(values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return len(known) == len(values) and all(a > b for a, b in pairwise(known))


def _named(step: OrderStep) -> str:
    which = f" ({step.row.label})" if step.row and step.row.kind == "trial" else ""
    return f"{step.name} {_mm(step.select_mm)}{which}"


def _chain(texts: Sequence[str], values: Sequence[float | None]) -> str:
    """Join the texts with the actual relation of the values."""
    signs = [_sign(a, b) for a, b in pairwise(values)]
    return texts[0] + "".join(
        f" {sign} {text}" for sign, text in zip(signs, texts[1:], strict=True)
    )


def _sign(a: float | None, b: float | None) -> str:
    if a is None or b is None:
        return "?"
    return ">" if a > b else "<" if a < b else "="


def _mm(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
