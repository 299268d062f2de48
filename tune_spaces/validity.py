"""Study behind `benchmarks/validity.md`: do encoders beat what needs none, and what is `mixed`?

Every row is trained in full in every block: nothing is stopped early, so that all rows can be
compared with intervals over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handssl.study.study import Study
from tune_spaces import demo

RIVALS = ("rotate", "translate", "color_jitter")
TOGETHER = "color_jitter+rotate+translate"
MIXED: dict[str, Any] = {
    "composition": TOGETHER,
    "objective": "mixed",
    "relative_on": "rotate+translate",
}
LABELS_FACTOR = 10


def study(*, size: str = "order", blocks: Sequence[int] = (1, 2, 3)) -> Study:
    """Return the study.

    Args:
        size: Size of the demo: `small` or `order`.
        blocks: Seeds; every cell runs once with each.

    Example:
        >>> len(study().all_stages[0].cells({}))
        18
    """
    base = demo.study(size)
    return Study.parse(
        {
            "name": f"validity-{size}",
            "stages": [{"kind": "cells", "all": [*_objectives(), *_mixed(base), _labelled(base)]}],
            "blocks": tuple(blocks),
            "data": base.data,
            "pretrain": base.pretrain,
            "halving": None,
        }
    )


def _objectives() -> list[dict[str, Any]]:
    """Return both objectives for each transformation and for all, and the equivariant one."""
    compositions = (*RIVALS, TOGETHER)
    return [
        *({"composition": one, "objective": "contrastive"} for one in compositions),
        *({"composition": one, "objective": "relative"} for one in compositions),
        {"composition": "rotate+translate", "objective": "equivariant"},
    ]


def _mixed(base: Study) -> list[dict[str, Any]]:
    """Return `mixed` in all forms, and pairs of encoders of which each has half of its updates.

    Two encoders of half the width have together its number of features and half its parameters;
    two of the same width have twice its parameters, and their features are reduced to its number.
    """
    half = {"epochs": base.pretrain.epochs // 2}
    narrow = {**half, "encoder.width": base.pretrain.encoder.width // 2}
    pairs = [
        {"composition": TOGETHER, "objective": objective, "settings": settings}
        for settings in (half, narrow)
        for objective in ("contrastive", "relative")
    ]
    forms: list[dict[str, Any]] = [
        {},
        {"mixed": "split"},
        {"mixed": "split", "equal_views": False},
        {"relative.weighting": "log_sum", "contrastive_weight": "log_sum"},
    ]
    return [*({**MIXED, "settings": settings} for settings in forms), *pairs]


def _labelled(base: Study) -> dict[str, Any]:
    """Return the supervised row with ten times the labels, and three times the updates."""
    values = base.data.model_dump(mode="json")
    return {
        "objective": "supervised",
        "settings": {"epochs": 3 * base.pretrain.epochs},
        "data": {**values, "probe": LABELS_FACTOR * values["probe"]},
    }
