"""Text view of the designs that detect an effect, and of the recommended ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from handssl.planning.recommendation import BUDGET_S, Option, Untried
from handssl.planning.study_plan import StudyPlan


def designs_in_words(plan: StudyPlan) -> list[str]:
    """List the designs that detect the requested effect, the cheapest first; none if not asked.

    Args:
        plan: The plan.
    """
    if plan.effect_mm is None:
        return []
    own, asked = plan.variation, f"{plan.effect_mm:g} mm"
    two = f"two cells {asked} apart need {plan.paired_blocks} blocks"
    untried = _untried(plan.designs.untried)
    if not plan.designs.options:
        return [f"No simulated design detects a main effect of {asked}; {two}", *untried]
    return [
        f"Main effect of {asked}, for seeds in general, with 80 % power; {two}.",
        f"  Variance of effects over seeds: {own.effects_source}. Studies are simulated with the "
        "estimators of the report. In brackets: the Monte-Carlo interval of the power; the power "
        "if the variance is only as certain as it was measured; the interval of the regret, what "
        "the chosen composition is worse than the best one on average.",
        *(line for one in plan.designs.options for line in _option(one)),
        *_recommended(plan),
        *untried,
    ]


def _option(one: Option) -> tuple[str, str]:
    power = f"{one.power.share:.0%} ({one.power.low:.0%} to {one.power.high:.0%}; "
    power += f"{one.learned[0]:.0%} to {one.learned[1]:.0%})"
    return (
        f"  {one.settings}",
        f"    cost {one.cost:.2f} whole blocks, power {power}, regret {_regret(one)}",
    )


def _regret(one: Option) -> str:
    found = one.regret
    if math.isnan(found.mm):
        return "not known"
    return f"{found.mm:.2f} mm ({found.low:.2f} to {found.high:.2f})"


def _recommended(plan: StudyPlan) -> list[str]:
    effects, winner = plan.designs.for_effects, plan.designs.for_winner
    lines = [f"  Recommended for effects: {effects.settings}; the least cost"] if effects else []
    if winner:
        lines.append(
            f"  Recommended for the best composition: {winner.settings}; the least cost among "
            "those whose regret cannot be told from the least"
        )
    return lines


def _untried(found: Sequence[Untried]) -> list[str]:
    late = [f"    {one.settings}: cost about {one.cost:.2f}" for one in found if one.why == "time"]
    weak = [f"    {one.settings}" for one in found if one.why == "blocks"]
    late_title = f"  Not tried, as {BUDGET_S:.0f} s of processor time were over:"
    weak_title = "  Not enough with 16 blocks:"
    return [*([late_title, *late] if late else []), *([weak_title, *weak] if weak else [])]
