"""Conversion of a study's plan to JSON values."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from handssl.planning.device_hours import Hours
from handssl.planning.remaining_work import StageWork
from handssl.planning.study_plan import StudyPlan


def document(plan: StudyPlan) -> dict[str, Any]:
    """Return a plan as JSON values; differences that cannot be tested are null.

    Args:
        plan: The plan, measured or not.
    """
    total = plan.hours(*plan.work)
    return {
        "study": plan.study.name,
        "plan": plan.hash,
        "first_plan": plan.first_hash,
        "deviations": plan.deviations,
        "storage": str(plan.storage),
        "missing_data": plan.missing_data,
        "stages": [_stage(plan, work) for work in plan.work],
        "device_hours": _hours(total),
        "wall_hours": _hours(total, plan.slots.devices),
        "slots": asdict(plan.slots),
        "memory": {**asdict(plan.memory), "fits": plan.memory.fits},
        "measured": _measured(plan),
        "disk_bytes": {**asdict(plan.disk), "peak": plan.disk.peak, "fits": plan.disk.fits},
        "variation": asdict(plan.variation),
        "effect_mm": plan.effect_mm,
        "paired_blocks": plan.paired_blocks,
        "confirmations": [{**asdict(one), "share": one.share} for one in plan.confirmations],
        **_designs(plan),
        "noise": [asdict(one) for one in plan.noise],
        "detectable": [
            {**asdict(one), "mm": one.mm if math.isfinite(one.mm) else None} for one in plan.effects
        ],
    }


def _stage(plan: StudyPlan, work: StageWork) -> dict[str, Any]:
    one = work.planned
    return {
        "name": one.stage.name,
        "kind": one.stage.kind,
        "needs": list(plan.study.needs(one.stage)),
        "blocks": list(one.stage.blocks(plan.study.blocks)),
        "cells": list(work.cells),
        "cells_are_known": one.known,
        "count_is_exact": one.exact,
        "trials": len(one.trials),
        "finished": work.finished,
        "shared_with_earlier_stages": work.shared,
        "exempt": sum(trial.exempt for trial in one.trained),
        "rungs": {str(epoch): count for epoch, count in work.rungs.items()},
        "epochs_left": work.epochs,
        "views_left": plan.views(work),
        "device_hours": _hours(plan.hours(work)),
        "confounding": plan.confounding(one),
    }


def _designs(plan: StudyPlan) -> dict[str, Any]:
    """Return the designs that were searched; a cost or regret that is not known is null."""
    own = plan.designs
    named = {"effects": own.for_effects, "best_composition": own.for_winner}
    return {
        "options": [_known({"settings": one.settings, **asdict(one)}) for one in own.options],
        "untried": [_known(asdict(one)) for one in own.untried],
        "recommended": {aim: one.settings if one else None for aim, one in named.items()},
    }


def _known(value: Any) -> Any:
    """Return JSON values with null in place of NaN."""
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _hours(hours: Hours | None, devices: int = 1) -> dict[str, float] | None:
    if hours is None:
        return None
    return {name: value / devices for name, value in asdict(hours).items()}


def _measured(plan: StudyPlan) -> dict[str, Any] | None:
    return None if plan.measured is None else asdict(plan.measured)
