"""Hyperparameter search with any Searcher of Ray Tune, including Optuna."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from handssl.errors import InputError
from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.execution.api import at_cluster, runs
from handssl.execution.datasets.resolver import DatasetResolver
from handssl.execution.initial_weights import with_initial_weights
from handssl.execution.storage import resolve_storage
from handssl.ledger.record import TrialRecord
from handssl.objectives import ObjectiveName
from handssl.planning.execution_options import ExecutionOptions
from handssl.study.cell import Cell
from handssl.study.events import Event, OnEvent
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial, plan_study


@dataclass(frozen=True)
class Point:
    """A point that was tried.

    Attributes:
        settings: Dotted keys of the pretraining configuration with their values.
        value_mm: Mean of the primary measure on `select` over blocks in mm; infinite if it failed.
        records: Records of its trials.
    """

    settings: dict[str, Any]
    value_mm: float
    records: tuple[TrialRecord, ...]


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes:
        points: All points, in the order in which they were suggested.
    """

    points: tuple[Point, ...]

    @property
    def best(self) -> Point:
        """The point with the smallest value."""
        return min(self.points, key=lambda point: point.value_mm)


def search(
    study: Study,
    searcher: Searcher,
    *,
    composition: Sequence[str],
    objective: ObjectiveName = "contrastive",
    points: int = 20,
    max_concurrent_trials: int = 1,
    blocks: Sequence[int] = (1001,),
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    options: ExecutionOptions | None = None,
    on_event: OnEvent | None = None,
) -> SearchResult:
    """Search for settings of the pretraining with a searcher, batch after batch.

    The searcher suggests dotted keys, such as `optimizer.lr_base`, and receives the primary measure
    on `select`. Its trials are recorded in the ledger like all others, so an interrupted search
    that is started again with the same seed repeats no trial. A point that is suggested twice in a
    batch, equal to six digits, is run once and reported for both. Blocks are those of the stage
    `hyperparameters`, which no reported stage uses.

    Args:
        study: Study whose data, pretraining and name are used; stages and halving are ignored.
        searcher: Searcher of `ray.tune.search`, with metric="median_mm", mode="min" and its space.
        composition: The fixed composition.
        objective: Objective of all points.
        points: Number of points.
        max_concurrent_trials: Number of points suggested before the result of the first is known.
        blocks: Seeds of each point.
        storage: Folder of the results, as for `handssl.run`.
        tracking_uri: MLflow store, as for `handssl.run`.
        options: Execution options, as for `handssl.run`.
        on_event: Called with every event.

    Returns:
        All points.

    Raises:
        InputError: A suggestion is not a setting of the pretraining, no suggestion is made, or the
            objective does not support the composition.
    """
    if not isinstance(searcher, Searcher):
        raise InputError(
            "search: expected a Searcher of ray.tune.search, e.g. "
            f"OptunaSearch(space, metric='{PRIMARY_METRIC}', mode='min'), got "
            f"{type(searcher).__name__}"
        )
    values = {"composition": tuple(composition), "objective": objective, "exempt": True}
    fixed = Cell.parse(values)
    # A searcher configured at construction returns False, which is fine.
    searcher.set_search_properties(PRIMARY_METRIC, "min", {})
    found: list[Point] = []
    base = {"references": False, "halving": None, "stages": (), "blocks": tuple(blocks)}
    folder = resolve_storage(storage)
    places = DatasetResolver(study, folder, on_event or _ignore)
    arguments = {"storage": storage, "tracking_uri": tracking_uri}
    options = at_cluster(options, on_event or _ignore)
    with runs(options, kept=True) as run:  # one Ray for all batches
        while len(found) < points:
            batch = _suggested(
                searcher, len(found), min(max_concurrent_trials, points - len(found))
            )
            if not batch:
                break
            cells = _cells(fixed, batch)
            planned = with_initial_weights(_planned(study, base, cells.values()), folder)
            result = run(planned, on_event=on_event, **arguments)
            if result.interrupted:
                break
            trials = plan_study(planned, places.fingerprint(planned.data))
            found += _completed(searcher, cells, _by_label(trials, result.records))
    if not found:
        raise InputError("search: expected the searcher to suggest a point, it suggested none")
    return SearchResult(tuple(found))


def _suggested(searcher: Searcher, known: int, most: int) -> dict[str, dict[str, Any]]:
    """Return suggestions; fewer if the searcher waits for results or is finished."""
    found = {}
    for number in range(known, known + most):
        settings = searcher.suggest(str(number))
        if not isinstance(settings, Mapping):
            break
        found[str(number)] = dict(settings)
    return found


def _cells(fixed: Cell, batch: Mapping[str, dict[str, Any]]) -> dict[str, Cell]:
    """Return the cell of each suggestion; suggestions with the same label share one cell."""
    first: dict[str, Cell] = {}
    found = {}
    for number, settings in batch.items():
        cell = fixed.merged({"settings": settings})
        found[number] = first.setdefault(cell.label, cell)
    return found


def _planned(study: Study, base: Mapping[str, Any], cells: Iterable[Cell]) -> Study:
    """Return the study of a batch, with each cell once however often it was suggested."""
    distinct = {cell.label: cell for cell in cells}
    changes = {**base, "name": f"{study.name}-search", "cells": tuple(distinct.values())}
    return Study.parse(study.model_copy(update=changes).model_dump())


def _by_label(
    trials: Iterable[PlannedTrial], records: Iterable[TrialRecord]
) -> dict[str, tuple[TrialRecord, ...]]:
    """Return the records of each cell; another study may have labelled its trials differently."""
    known = {record.trial_id: record for record in records}
    found: dict[str, tuple[TrialRecord, ...]] = {}
    for trial in trials:
        if record := known.get(trial.trial_id):
            found[trial.cell] = (*found.get(trial.cell, ()), record)
    return found


def _completed(
    searcher: Searcher, cells: Mapping[str, Cell], records: Mapping[str, tuple[TrialRecord, ...]]
) -> Iterator[Point]:
    for number, cell in cells.items():
        of_cell = records.get(cell.label, ())
        values = [
            r.metrics.get(PRIMARY_METRIC, math.inf) for r in of_cell if r.outcome == "completed"
        ]
        whole = bool(of_cell) and len(values) == len(of_cell)
        value_mm = math.fsum(values) / len(values) if whole else math.inf
        result = {PRIMARY_METRIC: value_mm} if whole else None
        searcher.on_trial_complete(number, result=result, error=not whole)
        yield Point(cell.settings, value_mm, of_cell)


def _ignore(event: Event) -> None:
    pass
