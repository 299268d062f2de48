"""Study of label efficiency: what a pretrained encoder is worth when labels are few.

Two cells are pretrained, and the better one's encoders, one for each block, are fine-tuned on
shares of the labels beside training from scratch and probes of frozen encoders. Nothing is stopped
early, so every block has an encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handssl.study.study import Study
from tune_spaces import demo

CANDIDATES: tuple[dict[str, Any], ...] = (
    {"composition": "color_jitter+rotate+translate", "objective": "relative"},
    {"composition": "color_jitter+scale+translate", "objective": "contrastive"},
)
SHARES = (0.01, 0.1, 1.0)


def stage(*, after: str = "compositions", **options: Any) -> dict[str, Any]:
    """Return the stage: the best cell's encoders and their competitors on shares of the labels.

    Args:
        after: The stage whose best cell it takes.
        options: Further options of `handssl.study.stages.LabelEfficiencyStage`.

    Example:
        >>> stage(labels=(0.1,))["labels"]
        (0.1,)
    """
    return {"kind": "label_efficiency", "after": after, "labels": SHARES, **options}


def study(*, size: str = "order", blocks: Sequence[int] = (1, 2, 3)) -> Study:
    """Return the study.

    Args:
        size: Size of the demo: `small` or `order`.
        blocks: Seeds; every cell runs once with each.

    Example:
        >>> [stage.name for stage in study().all_stages]
        ['pretraining', 'label_efficiency']
    """
    base = demo.study(size)
    pretraining = {"kind": "cells", "name": "pretraining", "all": CANDIDATES}
    return Study.parse(
        {
            "name": f"label-efficiency-{size}",
            "stages": [pretraining, stage(after="pretraining")],
            "blocks": tuple(blocks),
            "data": base.data,
            "pretrain": base.pretrain,
            "halving": None,
            "references": False,
        }
    )
