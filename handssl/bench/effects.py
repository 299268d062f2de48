"""Benchmark of cost and errors of early stopping, by replaying complete curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress
from handssl.randomness import derive_key
from handssl.scheduling.halving import Arm, Rules
from handssl.scheduling.simulation import Curves, Simulated, simulate
from handssl.scheduling.simulation.curves import Composition
from handssl.scheduling.skeletons import deal
from handssl.stats.biased import finisher_effects, last_value_effects
from handssl.stats.cell_means import adjusted_means
from handssl.stats.contrasts import Effect
from handssl.stats.difference import difference_effects
from handssl.stats.fraction import fraction_effects
from handssl.stats.full_grid import full_effects
from handssl.stats.imputation import BlockSample

Found = dict[str, Effect]


@dataclass(frozen=True)
class Plan:
    """A sweep strategy with its estimator.

    Attributes:
        name: Name of the row.
        cells: Size of the skeleton, or of the fraction that is trained alone; 0 for neither.
        rules: Rules of the halving, None for the full grid.
        estimate: Estimator: `full`, `last`, `finishers`, `fraction`, or a value of `ESTIMATORS`.
    """

    name: str
    cells: int
    rules: Rules | None
    estimate: str


@dataclass(frozen=True)
class Row:
    """Results of a plan over all repetitions.

    Attributes:
        name: Name of the plan.
        share: Trained epochs as a share of those of the full grid.
        regret_mm: Last value of the chosen composition minus that of the best, in mm.
        regret_test_mm: The same on `test` in mm; NaN if unknown.
        error_mm: Root mean square error of main effects against those of the full grid, in mm.
        sign_errors: Share of main effects with the wrong sign, 0 to 1.
        coverage: Share of intervals that contain the effect, NaN without intervals.
        coverage_range: 95 % interval of that share, assuming independent repetitions.
        width_mm: Mean width of the intervals in mm.
        estimable: Share of repetitions in which all effects could be estimated.
    """

    name: str
    share: float
    regret_mm: float
    regret_test_mm: float
    error_mm: float
    sign_errors: float
    coverage: float
    coverage_range: tuple[float, float]
    width_mm: float
    estimable: float


ESTIMATORS = {
    "difference estimator": "difference",
    "skeleton alone": "alone",
    "plain regression estimator": "regression",
}
"""Estimators of a skeleton by name: that of reports, and its trivial competitors."""
_SLOPES = {"difference": None, "alone": 0.0, "regression": 1.0}


def plans(epochs: int, grace_epochs: int, reduction_factor: float) -> list[Plan]:
    """Return the plans to compare."""
    rules = Rules(epochs, grace_epochs, reduction_factor)
    return [
        Plan("full grid", 0, None, "full"),
        Plan("ASHA, last value of every trial", 0, rules, "last"),
        Plan("ASHA, completed trials only", 0, rules, "finishers"),
        *(
            Plan(f"ASHA + skeleton of {cells}, {name}", cells, rules, estimate)
            for cells in (16, 32)
            for name, estimate in ESTIMATORS.items()
        ),
        *(Plan(f"fraction of {n}, no halving", n, None, "fraction") for n in (16, 32, 64)),
    ]


def bench_effects(
    curves: Curves,
    *,
    grace_epochs: int,
    reduction_factor: float = 3.0,
    blocks: Sequence[int] | None = None,
    repeats: int = 300,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> list[Row]:
    """Replay curves under every plan, with random cosets, columns and cohorts each time.

    Args:
        curves: Complete curves of all compositions.
        grace_epochs: Epoch of the first rung.
        reduction_factor: Reduction factor of the halving.
        blocks: Seeds of one study; None selects all.
        repeats: Number of repetitions of each plan.
        seed: Seed of the random draws.
        on_progress: Called with (plans done, total plans).

    Returns:
        One row per plan.
    """
    chosen = tuple(blocks or curves.values)
    truth = full_effects([curves.final(block) for block in chosen])
    rows = []
    everything = plans(curves.epochs, grace_epochs, reduction_factor)
    for done, plan in enumerate(everything, start=1):
        count = repeats if plan.cells or plan.rules else 1
        tried = [_Study(curves, plan, chosen, (seed, number)).run() for number in range(count)]
        rows.append(_summed(plan, tried, truth))
        if on_progress:
            on_progress(done, len(everything))
    return rows


@dataclass(frozen=True)
class _Tried:
    share: float
    regret_mm: float
    regret_test_mm: float
    effects: Found


@dataclass(frozen=True)
class _Study:
    """One repetition of one plan."""

    curves: Curves
    plan: Plan
    blocks: tuple[int, ...]
    draw: tuple[int, int]

    def run(self) -> _Tried:
        exempt = {block: self._skeleton(number) for number, block in enumerate(self.blocks)}
        done = {block: self._simulated(block, exempt[block]) for block in self.blocks}
        epochs = sum(one.epochs for one in done.values())
        whole = sum(self.curves.epochs * len(self.curves.values[b]) for b in self.blocks)
        return _Tried(epochs / whole, *self._regret(done), self._effects(done, exempt))

    def _skeleton(self, position: int) -> frozenset[Composition]:
        """Return the skeleton of a block, dealt anew in each repetition."""
        if not self.plan.cells:
            return frozenset()
        seed = derive_key("study", *self.draw)
        return deal(self.curves.names, self.plan.cells, seed).of(position)

    def _simulated(self, block: int, exempt: frozenset[Composition]) -> Simulated:
        trained = exempt if self.plan.estimate == "fraction" else self.curves.values[block]
        own = {"+".join(one) or "none": one for one in sorted(trained)}
        arms = [Arm(name, block, one in exempt) for name, one in own.items()]
        curves = {name: self.curves.values[block][one] for name, one in own.items()}
        return simulate(arms, self.plan.rules, curves, epochs=self.curves.epochs)

    def _regret(self, done: dict[int, Simulated]) -> tuple[float, float]:
        """Return the regret of the composition that the study would choose, on select and test."""
        means = {
            one: fmean(self.curves.final(block)[one] for block in self.blocks)
            for one in self.curves.values[self.blocks[0]]
        }
        seen: dict[str, dict[int, float]] = {}
        for block, simulated in done.items():
            for one, value in self._completed(block, simulated).items():
                seen.setdefault("+".join(one), {})[block] = value
        adjusted = adjusted_means(seen)
        best = min(sorted(adjusted), key=lambda one: adjusted[one])
        pick = tuple(best.split("+")) if best else ()
        return means[pick] - min(means.values()), self._test_regret(pick)

    def _test_regret(self, pick: Composition) -> float:
        known = [self.curves.test.get(block, {}) for block in self.blocks]
        if not all(known):
            return math.nan
        able = set.intersection(*(set(one) for one in known))
        means = {one: fmean(test[one] for test in known) for one in able}
        return means[pick] - min(means.values()) if pick in means else math.nan

    def _completed(self, block: int, simulated: Simulated) -> dict[Composition, float]:
        final = self.curves.final(block)
        return {
            one: value
            for one, value in final.items()
            if simulated.trained.get("+".join(one) or "none") == self.curves.epochs
            and math.isfinite(value)
        }

    def _effects(
        self, done: dict[int, Simulated], exempt: dict[int, frozenset[Composition]]
    ) -> Found:
        ways: dict[str, Callable[[], Found]] = {
            "full": lambda: full_effects([self.curves.final(block) for block in self.blocks]),
            "fraction": lambda: fraction_effects(
                [self._completed(b, one) for b, one in done.items()]
            ),
            "last": lambda: last_value_effects([self._last(b, one) for b, one in done.items()]),
            "finishers": lambda: finisher_effects(
                [self._completed(b, one) for b, one in done.items()], self.curves.names
            ),
        }
        if self.plan.estimate in ways:
            return ways[self.plan.estimate]()
        samples = [self._sample(block, exempt[block]) for block in done]
        return difference_effects(samples, slope=_SLOPES[self.plan.estimate])

    def _last(self, block: int, simulated: Simulated) -> dict[Composition, float]:
        return {
            one: curve[simulated.trained["+".join(one) or "none"] - 1]
            for one, curve in self.curves.values[block].items()
        }

    def _sample(self, block: int, exempt: frozenset[Composition]) -> BlockSample:
        assert self.plan.rules is not None  # noqa: S101  a skeleton belongs to halving
        grace = self.plan.rules.grace_epochs
        early = {one: curve[:grace] for one, curve in self.curves.values[block].items()}
        final = self.curves.final(block)
        return BlockSample(early, {one: final[one] for one in exempt})


def _summed(plan: Plan, tried: Sequence[_Tried], truth: Found) -> Row:
    able = [one for one in tried if all(math.isfinite(e.mm) for e in one.effects.values())]
    pairs = [(one.effects[name], truth[name].mm) for one in able for name in truth]
    errors = [found.mm - true for found, true in pairs]
    covered = [found.covers(true) for found, true in pairs if math.isfinite(found.low)]
    has_intervals = bool(covered) and plan.estimate in ("fraction", *_SLOPES)
    share = fmean(covered) if has_intervals else math.nan
    half = 1.96 * math.sqrt(share * (1 - share) / len(covered)) if has_intervals else math.nan
    return Row(
        plan.name,
        fmean(one.share for one in tried),
        fmean(one.regret_mm for one in tried),
        fmean(one.regret_test_mm for one in tried),
        float(np.sqrt(np.mean(np.square(errors)))) if errors else math.nan,
        fmean(found.mm * true < 0 for found, true in pairs) if pairs else math.nan,
        share,
        (share - half, share + half),
        fmean(found.high - found.low for found, _ in pairs) if has_intervals else math.nan,
        len(able) / len(tried),
    )


def text(tables: dict[str, list[Row]], source: str) -> str:
    """Return the results as a Markdown page.

    Args:
        tables: Rows by heading.
        source: Description of the source of the curves.
    """
    lines = ["# Winners and effects under early stopping", "", f"{describe()}.", "", source]
    for heading, rows in tables.items():
        lines += ["", f"## {heading}", "", *_HEAD, *map(_line, rows)]
    return "\n".join([*lines, ""])


_HEAD = (
    "| plan | share of the full cost | regret of the winner, mm | on test | error of main "
    "effects, mm | wrong signs | intervals that hold (95 %) | their width, mm | estimable |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
)


def _line(row: Row) -> str:
    coverage = "" if math.isnan(row.coverage) else f"{row.coverage:.1%}"
    if coverage:
        coverage += f" ({row.coverage_range[0]:.1%} to {row.coverage_range[1]:.1%})"
    width = "" if math.isnan(row.width_mm) else f"{row.width_mm:.2f}"
    test = "" if math.isnan(row.regret_test_mm) else f"{row.regret_test_mm:.2f}"
    cells = [row.name, f"{row.share:.2f}", f"{row.regret_mm:.2f}", test, f"{row.error_mm:.3f}"]
    cells += [f"{row.sign_errors:.1%}", coverage, width, f"{row.estimable:.0%}"]
    return "| " + " | ".join(cells) + " |"
