"""Study that repeats cells of another under perturbations of rounding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handssl.config import nearest
from handssl.errors import InputError
from handssl.study.cell import Cell
from handssl.study.study import Study
from handssl.study.trials import SUPERVISED

REPEATS = 8
_SUFFIX, _KEY = "-noise", "noise_repeat"


def noise_name(study: str) -> str:
    """Return the name of the study of repeats.

    Example:
        >>> noise_name("mine")
        'mine-noise'
    """
    return study[: 64 - len(_SUFFIX)] + _SUFFIX


def noise_study(study: Study, labels: Sequence[str] = (), repeats: int = REPEATS) -> Study:
    """Return a study that repeats cells with the same seed and data, and other rounding.

    Its trials are never trials of the study: `noise_repeat` is part of their identity.

    Args:
        study: The study.
        labels: Labels of its cells; default: one cell of each objective.
        repeats: Number of repeats of each cell, at least 2.

    Raises:
        InputError: The study has no such cell.

    Example:
        >>> one = Study.parse({"name": "x", "references": False, "cells": [{}]})
        >>> [cell.label for cell in noise_study(one, repeats=2).cells]
        ['contrastive none noise_repeat=1', 'contrastive none noise_repeat=2']
    """
    cells = [
        cell.model_copy(update={"settings": {**cell.settings, _KEY: repeat}, "exempt": True})
        for cell in _chosen(study, labels)
        for repeat in range(1, repeats + 1)
    ]
    return Study(
        name=noise_name(study.name),
        stage="noise",
        data=study.data,
        pretrain=study.pretrain,
        cells=tuple(cells),
        blocks=study.blocks[:1],
        halving=None,
        references=False,
    )


def _chosen(study: Study, labels: Sequence[str]) -> list[Cell]:
    known = {cell.label: cell for cell in _cells(study)}
    if unknown := [label for label in labels if label not in known]:
        raise InputError(
            f"--cells {unknown[0]!r}: expected a cell of study {study.name} that depends on no "
            f"selection{nearest(unknown[0], known)}"
        )
    if labels:
        return [known[label] for label in labels]
    # Rivals first: theirs are the comparisons that the study is made for.
    by_rank = sorted(known.values(), key=lambda c: (c.objective == "supervised", not c.exempt))
    first: dict[str, Cell] = {}
    for cell in by_rank:
        first.setdefault(cell.objective, cell)
    return list(first.values())


def _cells(study: Study) -> Iterable[Cell]:
    """Yield the cells that depend on no selection, with the study's own settings."""
    for stage in study.all_stages:
        if stage.kind != "hyperparameters" and not stage.needs:
            yield from stage.cells({})
    if study.references:
        yield SUPERVISED
