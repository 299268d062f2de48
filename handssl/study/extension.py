"""A study as it continues: with seeds and epochs added later, and options as first planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handssl.ledger.log import Asked
from handssl.study.stages import StageBase
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


def as_first_planned(study: Study, plan: Mapping[str, Any] | None) -> Study:
    """Return a study with the options of its stages that its first plan could not have yet.

    An option that was added to a stage after the plan was stored has the value that stands for its
    absence, unless the study states another one than the default.

    Args:
        study: The study as written in its file.
        plan: Plan of the study from the ledger; None before its first run.
    """
    registered: Mapping[str, str] = (plan or {}).get("registered", {})
    stages = [dict(_older(stage, registered)) for stage in study.stages]
    if not any(stages):
        return study
    written = [stage.model_dump(mode="json") for stage in study.stages]
    merged = [{**one, **older} for one, older in zip(written, stages, strict=True)]
    return study.merged({"stages": merged})


def _older(stage: StageBase, registered: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for name, absent in stage.added.items():
        was_planned = f"stages.{stage.name}.kind" in registered
        lacks_it = f"stages.{stage.name}.{name}" not in registered
        is_default = getattr(stage, name) == type(stage).model_fields[name].default
        if was_planned and lacks_it and is_default and getattr(stage, name) != absent:
            yield name, absent


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
