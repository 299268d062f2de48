"""Hyperparameters by another search algorithm: any Searcher of Ray Tune, Optuna included."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from handssl.errors import InputError
from handssl.objectives import ObjectiveName
from handssl.sweep.cells import Cell
from handssl.sweep.events import OnEvent
from handssl.sweep.local_ray import ray_cluster
from handssl.sweep.runner import run
from handssl.sweep.running import Running
from handssl.sweep.scheduler import PRIMARY
from handssl.sweep.study import Study
from handssl.tracking.record import TrialRecord


@dataclass(frozen=True)
class Point:
    """A point that was tried.

    Attributes:
        settings: Dotted keys of the pretraining with their values.
        value_mm: Mean of the primary measure on `select` over blocks; infinite if it failed.
        records: Of its trials.
    """

    settings: dict[str, Any]
    value_mm: float
    records: tuple[TrialRecord, ...]


@dataclass(frozen=True)
class SearchResult:
    """What a search gave.

    Attributes:
        points: In the order in which they were suggested.
    """

    points: tuple[Point, ...]

    @property
    def best(self) -> Point:
        """The point with the least value."""
        return min(self.points, key=lambda point: point.value_mm)


def search(
    study: Study,
    searcher: Searcher,
    *,
    composition: Sequence[str],
    objective: ObjectiveName = "contrastive",
    points: int = 20,
    at_once: int = 1,
    blocks: Sequence[int] = (1001,),
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    running: Running | None = None,
    on_event: OnEvent | None = None,
) -> SearchResult:
    """Let a searcher choose settings of the pretraining, one batch after the other.

    The searcher suggests dotted keys, as `optimizer.lr_base`, and learns the primary measure on
    `select`. Its trials are trials like all others: found again in the ledger, so a search that was
    interrupted and is started again with the same seed pays for nothing twice. Blocks are those
    of the stage `hyperparameters`, which no reported stage uses.

    Args:
        study: Its data, pretraining and name; stages and halving are left aside.
        searcher: Of `ray.tune.search`; give it metric="median_mm", mode="min" and its space.
        composition: The fixed composition.
        objective: Of all points.
        points: How many.
        at_once: Points that are suggested before the first of them is known.
        blocks: Seeds of each point.
        storage: As of `handssl.run`, likewise the rest.
        tracking_uri: MLflow store.
        running: How.
        on_event: Called with everything that happens.

    Returns:
        All points.

    Raises:
        InputError: A suggestion is no setting of the pretraining, or none is made.
    """
    if not isinstance(searcher, Searcher):
        raise InputError(
            "search: expected a Searcher of ray.tune.search, e.g. "
            f"OptunaSearch(space, metric='{PRIMARY}', mode='min'), got {type(searcher).__name__}"
        )
    # Searchers that were told at construction say no, and are right.
    searcher.set_search_properties(PRIMARY, "min", {})
    found: list[Point] = []
    base = {"references": False, "halving": None, "stages": (), "blocks": tuple(blocks)}
    options = {"storage": storage, "tracking_uri": tracking_uri, "running": running}
    # One Ray for all batches: each `run` finds the one that is there.
    with ray_cluster((running or Running()).address, running=running):
        while len(found) < points:
            batch = _suggested(searcher, len(found), min(at_once, points - len(found)))
            if not batch:
                break
            cells = [_cell(composition, objective, settings) for settings in batch.values()]
            name = f"{study.name}-search"
            planned = study.model_copy(update={**base, "name": name, "cells": tuple(cells)})
            result = run(Study.parse(planned.model_dump()), on_event=on_event, **options)  # type: ignore[arg-type]
            if result.interrupted:
                break
            found += _told(searcher, batch, cells, result.records)
    if not found:
        raise InputError("search: expected the searcher to suggest a point, it suggested none")
    return SearchResult(tuple(found))


def _suggested(searcher: Searcher, known: int, most: int) -> dict[str, dict[str, Any]]:
    """Ask for points; a searcher that wants to wait for results, or is done, gives fewer."""
    found = {}
    for number in range(known, known + most):
        settings = searcher.suggest(str(number))
        if not isinstance(settings, Mapping):
            break
        found[str(number)] = dict(settings)
    return found


def _cell(composition: Sequence[str], objective: ObjectiveName, settings: dict[str, Any]) -> Cell:
    return Cell(composition=tuple(composition), objective=objective, settings=settings, exempt=True)


def _told(
    searcher: Searcher,
    batch: Mapping[str, dict[str, Any]],
    cells: Sequence[Cell],
    records: Sequence[TrialRecord],
) -> Iterator[Point]:
    for (number, settings), cell in zip(batch.items(), cells, strict=True):
        own = tuple(record for record in records if record.cell == cell.label)
        values = [r.metrics.get(PRIMARY, math.inf) for r in own if r.outcome == "completed"]
        whole = bool(own) and len(values) == len(own)
        value_mm = math.fsum(values) / len(values) if whole else math.inf
        result = {PRIMARY: value_mm} if whole else None
        searcher.on_trial_complete(number, result=result, error=not whole)
        yield Point(settings, value_mm, own)
