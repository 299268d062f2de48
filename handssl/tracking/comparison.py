"""Comparison of a study's best cells on MLflow's own page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from handssl.errors import InputError
from handssl.tracking import mlflow_client
from handssl.tracking.mlflow_client import open_client
from handssl.tracking.views import CELLS, COMPARED, TRIALS

_SHOWN = "compare"
REFERENCES = ("reference", "supervised")


@dataclass(frozen=True)
class ComparedCell:
    """A cell's run in MLflow.

    Attributes:
        run_id: Id of the run in MLflow.
        label: Label of the cell.
        stage: Name of the cell's stage.
        objective: Name of the cell's objective; `reference` if nothing is trained.
        metrics: Latest values by name, without those that are no longer valid (NaN).
        tags: Tags of the run in MLflow.
    """

    run_id: str
    label: str
    stage: str
    objective: str
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def median_mm(self) -> float:
        """Mean of the primary measure in mm, infinite if no block was completed."""
        return self.metrics.get("median_mm", math.inf)


@dataclass(frozen=True)
class Comparison:
    """The cells that the page shows.

    Attributes:
        experiment: Id of the study's experiment.
        cells: The best cells and the references, ordered by the primary measure.
        without_result: Labels of cells without a completed block, which cannot be compared.
    """

    experiment: str
    cells: tuple[ComparedCell, ...]
    without_result: tuple[str, ...] = ()

    def url(self, server: str) -> str:
        """Return the address of the page.

        Args:
            server: URL of the MLflow server, `http://host:port`.

        Example:
            >>> Comparison("7", ()).url("http://127.0.0.1:5000/").partition("?")[0]
            'http://127.0.0.1:5000/#/experiments/7/runs'
        """
        return f"{server.rstrip('/')}/{COMPARED.page(self.experiment)}"


def compare(
    tracking_uri: str, study: str, *, stage: str | None = None, best: int = 20
) -> Comparison:
    """Choose the cells to be compared, and store a view of them with the experiment.

    The page filters by a tag that only these runs have: MLflow's filter supports neither `or` nor
    a limit.

    Args:
        tracking_uri: URI of the MLflow store.
        study: Name of the experiment.
        stage: Name of the stage; default: all stages, each cell once.
        best: Number of cells, besides references.

    Raises:
        InputError: There is no such study or stage, or none of its trials has ended.
        UnavailableError: The store cannot be reached.
    """
    with mlflow_client.sorted_errors():
        client = mlflow_client.open_client(tracking_uri)
        found = client.get_experiment_by_name(study)
        if found is None:
            raise InputError(f"{tracking_uri}: expected an experiment {study}, there is none")
        cells = _cells(client, found.experiment_id)
        chosen = _chosen(study, cells, stage, best)
        _mark(client, cells, chosen)
        for tag, value in COMPARED.tag.items():
            client.set_experiment_tag(found.experiment_id, tag, value)
    return Comparison(str(found.experiment_id), chosen, _without_result(cells, stage))


def _cells(client: MlflowClient, experiment: str) -> list[ComparedCell]:
    found: list[ComparedCell] = []
    token = None
    while True:
        page = client.search_runs([experiment], "tags.kind = 'cell'", page_token=token)
        found += [_cell(run) for run in page]
        token = page.token
        if not token:
            return found


def _cell(run: Any) -> ComparedCell:
    tags = dict(run.data.tags)
    named = (tags["cell"], tags["stage"], tags.get("objective", ""))
    metrics = {name: mm for name, mm in run.data.metrics.items() if math.isfinite(mm)}
    return ComparedCell(run.info.run_id, *named, metrics, tags)


def _chosen(
    study: str, cells: Sequence[ComparedCell], stage: str | None, best: int
) -> tuple[ComparedCell, ...]:
    stages = sorted({cell.stage for cell in cells})
    if not cells:
        raise InputError(
            f"study {study}: expected cells in MLflow, there are none; at least one trial must "
            "have ended, and running the study again uploads results of earlier runs"
        )
    if stage is not None and stage not in stages:
        raise InputError(f"--stage: expected one of {', '.join(stages)}, got {stage}")
    ranked = sorted(cells, key=lambda cell: (cell.median_mm, cell.label))
    once = {cell.label: cell for cell in reversed(ranked)}  # two stages may share a cell
    of_stage = [
        cell for cell in ranked if (cell.stage == stage if stage else once[cell.label] is cell)
    ]
    rest = [c for c in of_stage if c.objective not in REFERENCES and math.isfinite(c.median_mm)][
        :best
    ]
    references = [cell for cell in once.values() if cell.objective in REFERENCES]
    return tuple(sorted([*rest, *references], key=lambda cell: (cell.median_mm, cell.label)))


def _without_result(cells: Sequence[ComparedCell], stage: str | None) -> tuple[str, ...]:
    known = {cell.label for cell in cells if math.isfinite(cell.median_mm)}
    return tuple(sorted({c.label for c in cells if stage in (None, c.stage)} - known))


def _mark(
    client: MlflowClient, cells: Sequence[ComparedCell], chosen: Sequence[ComparedCell]
) -> None:
    wanted = {cell.run_id for cell in chosen}
    for cell in cells:
        marked = cell.tags.get(_SHOWN) == "yes"
        if cell.run_id in wanted and not marked:
            client.set_tag(cell.run_id, _SHOWN, "yes")
        if cell.run_id not in wanted and marked:
            client.delete_tag(cell.run_id, _SHOWN)


def experiment_page(tracking_uri: str, study: str, server: str) -> str:
    """Return the address of a study's cells, best first, or of its trials while it has no cells.

    Args:
        tracking_uri: URI of the MLflow store with the runs.
        study: Name of the study.
        server: URL of MLflow's pages, `http://host:port`.

    Returns:
        The address; that of the server if the study has no experiment yet.
    """
    root = server.rstrip("/")
    try:
        client = open_client(tracking_uri)
        found = client.get_experiment_by_name(study)
        if found is None:
            return root
        cells = client.search_runs([found.experiment_id], "tags.kind = 'cell'", max_results=1)
    except MlflowException:
        return root
    return f"{root}/{(CELLS if cells else TRIALS).page(str(found.experiment_id))}"
