"""Trials without work, to measure the overhead of a sweep."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handssl.execution.tune import trainable
from handssl.randomness import numpy_generator
from handssl.study.study import Study

HOOK = "handssl.bench.empty.install"
EPOCHS = 3
_NAMES = ("blur", "color_jitter", "cutout", "noise", "rotate", "sobel", "translate")
_OTHERS = 24  # metrics of an epoch besides the primary ones, as in a real trial


def install() -> None:
    """Replace training in this process; Ray calls this in every worker that it starts."""
    trainable.trial_results = results


def results(trial: Any, data: Any, folder: Path, *_: Any, **__: Any) -> Iterator[Any]:
    """Yield epochs of a decreasing curve without computation."""
    for epoch in range(1, trial.config.epochs + 1):
        yield epoch, metrics(trial.cell, trial.block, epoch)


def metrics(cell: str, block: int, epoch: int) -> dict[str, float]:
    """Return the metrics of an epoch: a level that depends on cell and block, plus a decay."""
    level = float(numpy_generator("empty", cell, block).uniform(60.0, 90.0))
    value = level + 20.0 * math.exp(-epoch)
    return {
        "median_mm": value,
        "mpje_mm": value + 5.0,
        **{f"train/other_{number}": value / (number + 1) for number in range(_OTHERS)},
    }


def study(blocks: int, data: dict[str, Any], factors: int = 7) -> Study:
    """Return a study of all compositions of some of the paper's seven transformations.

    Args:
        blocks: Number of seeds.
        data: Data of the study, which is not read.
        factors: Number of transformations.

    Example:
        >>> len(study(1, {}).all_stages[0].cells({}))
        128
    """
    cells = [
        {"composition": [name for i, name in enumerate(_NAMES) if number >> i & 1]}
        for number in range(2**factors)
    ]
    return Study.parse(
        {
            "name": "empty",
            "cells": cells,
            "blocks": list(range(1, blocks + 1)),
            "data": data,
            "pretrain": {"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
            "halving": None if blocks == 1 else {"grace_epochs": 1, "reduction_factor": 3.0},
            "references": False,
        }
    )
