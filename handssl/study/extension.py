"""Extension of a study by seeds and epochs that were added later."""

from __future__ import annotations

from collections.abc import Sequence

from handssl.ledger.log import Asked
from handssl.study.study import Study


def extended(study: Study, asked: Asked) -> Study:
    """Return a study with the seeds and epochs that were requested later.

    Epochs only increase: a study whose file has more epochs by now keeps those.

    Args:
        study: The study as written in its file.
        asked: Requests to the study.

    Example:
        >>> study = Study.parse({"name": "x", "cells": [{}], "blocks": [1]})
        >>> extended(study, Asked(blocks=(1, 2), epochs=200)).blocks
        (1, 2)
        >>> extended(study.merged({"pretrain.epochs": 300}), Asked(epochs=200)).pretrain.epochs
        300
    """
    changes: dict[str, object] = {}
    if more := [block for block in asked.blocks if block not in study.blocks]:
        changes["blocks"] = [*study.blocks, *more]
    if asked.epochs is not None and asked.epochs > study.pretrain.epochs:
        changes["pretrain.epochs"] = asked.epochs
    return study.merged(changes) if changes else study


def describe_extension(asked: Asked) -> str:
    """Describe in words what was added.

    Example:
        >>> describe_extension(Asked(blocks=(4, 5), epochs=200))
        'seeds 4, 5; 200 epochs'
    """
    return "; ".join(
        [
            *(
                [f"seed{_s(asked.blocks)} " + ", ".join(map(str, asked.blocks))]
                * bool(asked.blocks)
            ),
            *([f"{asked.epochs} epochs"] * (asked.epochs is not None)),
        ]
    )


def _s(things: Sequence[object]) -> str:
    return "s" if len(things) > 1 else ""
