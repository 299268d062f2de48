"""Stage of Sec. 4.1: the random grid search, the first stage of the paper's study.

The same number of points for each objective, among the options that it reads, on one fixed
composition, with seeds that no stage reports, all trained to the end and scored on `select`; the
chosen values apply to the stages after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handssl.objectives import ObjectiveName

GRID: dict[str, tuple[Any, ...]] = {
    "optimizer.lr_base": (3e-5, 1e-4, 3e-4, 1e-3),
    "optimizer.weight_decay": (0.0, 1e-6, 1e-4),
    "global_batch": (512, 1024, 2048),
    # Only Eq. 1 has a temperature, only Eq. 3 a sigma to learn or to fix.
    "temperature": (0.1, 0.5, 1.0),
    "relative.weighting": ("learned", "fixed"),
}


def stage(
    *,
    composition: Sequence[str] = ("rotate", "translate"),
    objectives: Sequence[ObjectiveName] = ("contrastive", "relative"),
    grid: Mapping[str, Sequence[Any]] | None = None,
    points: int = 12,
    seeds: Sequence[int] = (1001,),
) -> dict[str, Any]:
    """Return the stage, to be put before others.

    Args:
        composition: Transformations with which points are compared.
        objectives: Objectives, each of which gets settings of its own.
        grid: Dotted keys of the pretraining configuration to their values.
        points: Number of points drawn from the grid for each objective.
        seeds: Seeds of its blocks.

    Example:
        >>> from handssl import Study
        >>> found = Study.parse({"name": "x", "stages": [stage(), {"kind": "objectives"}]})
        >>> len(found.all_stages[0].cells({}))
        24
    """
    return {
        "kind": "hyperparameters",
        "composition": tuple(composition),
        "objectives": tuple(objectives),
        "grid": {name: tuple(values) for name, values in (grid or GRID).items()},
        "points": points,
        "seeds": tuple(seeds),
    }
