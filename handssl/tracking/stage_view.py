"""MLflow runs of a stage and its cells: files on the stage's run, one run for each cell.

A cell has one trial for each seed; the cell's run holds the mean over them, so that 128
compositions remain comparable, no matter which study ran their trials.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import Metric, RunTag
from mlflow.tracking import MlflowClient

from handssl.tracking.mlflow_points import run_name

FILE_TAG, STEP = "file.", "updates"
_PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class CellRow:
    """Summary of a cell over its blocks.

    Attributes:
        label: Label of the cell.
        tags: Description of the cell, and the state of its trials.
        metrics: Means over completed blocks, their spread, counts, by name.
    """

    label: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class StageView:
    """Content of a stage's runs; the functions are called again after each change.

    Attributes:
        stage: Name of the stage.
        cells: Returns the cells with at least one trial that has ended.
        files: Returns the text of each file attached to the stage's run, by file name.
    """

    stage: str
    cells: Callable[[], Sequence[CellRow]]
    files: Callable[[], Mapping[str, str]]


@dataclass
class _CellRun:
    """Known content of a cell's run; each step is an update of its metrics."""

    run_id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def step(self) -> int:
        return int(self.metrics.get(STEP, 0))


class StageRuns:
    """Updates the run of a stage and those of its cells.

    Args:
        client: Client of the MLflow store.
        experiment: Id of the experiment.
        study: Name of the study.
        parent: Returns the id of the run that has a stage's files.
        keep: Called with each new run; if another driver has taken over, it deletes the run and
            raises.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment: str,
        study: str,
        parent: Callable[[str], str],
        keep: Callable[[Any], None] = lambda run: None,
    ) -> None:
        self._client, self._experiment, self._study = client, experiment, study
        self._parent, self._keep = parent, keep
        self._cells: dict[str, dict[str, _CellRun]] = {}
        self._files: dict[str, dict[str, str]] = {}

    def bring_up(self, view: StageView) -> None:
        """Write what is missing; a second call writes nothing.

        Args:
            view: Content of the runs.
        """
        self._attach(self._parent(view.stage), view.files())
        known = self._cells.setdefault(view.stage, self._existing(view.stage))
        for row in view.cells():
            if row.label not in known:
                known[row.label] = self._create(view.stage, row)
            if self._write(known[row.label], row):
                self._adopt(known[row.label])

    def parent_of(self, stage: str, cell: str) -> dict[str, str]:
        """Return the tag that puts a trial below its cell; empty while the cell has no run."""
        found = self._cells.get(stage, {}).get(cell)
        return {} if found is None else {_PARENT: found.run_id}

    def _attach(self, run_id: str, files: Mapping[str, str]) -> None:
        if run_id not in self._files:
            self._files[run_id] = dict(self._client.get_run(run_id).data.tags)
        tags = self._files[run_id]
        for name, text in files.items():
            for key, digest in attach(self._client, run_id, tags, name, text).items():
                self._client.set_tag(run_id, key, digest)
                tags[key] = digest

    def _existing(self, stage: str) -> dict[str, _CellRun]:
        condition = f"tags.kind = 'cell' and tags.stage = '{stage}'"
        found: dict[str, _CellRun] = {}
        token = None
        while True:
            page = self._client.search_runs([self._experiment], condition, page_token=token)
            for run in page:
                found[run.data.tags["cell"]] = _known(run)
            token = page.token
            if not token:
                return found

    def _create(self, stage: str, row: CellRow) -> _CellRun:
        tags = {"kind": "cell", "study": self._study, "stage": stage, "cell": row.label}
        name = run_name(row.label, row.metrics)
        run = self._client.create_run(self._experiment, tags=tags, run_name=name)
        self._keep(run)
        self._client.set_terminated(run.info.run_id)
        return _CellRun(run.info.run_id, name, tags)

    def _write(self, known: _CellRun, row: CellRow) -> bool:
        tags = {name: value for name, value in row.tags.items() if known.tags.get(name) != value}
        metrics = _news(known, row)
        if metrics or tags:
            now_ms, step = time.time_ns() // 1_000_000, known.step + 1
            points = [Metric(name, value, now_ms, step) for name, value in metrics.items()]
            written = [RunTag(name, value) for name, value in tags.items()]
            self._client.log_batch(known.run_id, points, (), written)
        name = run_name(row.label, row.metrics)
        if name != known.name:
            self._client.update_run(known.run_id, name=name)
            known.name = name
        known.metrics |= metrics
        known.tags |= tags
        return bool(metrics or tags or _PARENT in known.tags)

    def _adopt(self, cell: _CellRun) -> None:
        """Put the trials of a cell below it, and it below nothing: MLflow folds what is below."""
        of = f"tags.stage = '{cell.tags['stage']}' and tags.cell = '{cell.tags['cell']}'"
        for run in self._client.search_runs([self._experiment], f"tags.kind = 'trial' and {of}"):
            if run.data.tags.get(_PARENT) != cell.run_id:
                self._client.set_tag(run.info.run_id, _PARENT, cell.run_id)
        if _PARENT in cell.tags:  # earlier versions put cells below their stage
            self._client.delete_tag(cell.run_id, _PARENT)
            del cell.tags[_PARENT]


def _news(known: _CellRun, row: CellRow) -> dict[str, float]:
    """Return all values of a row if they differ from the run's latest, else nothing."""
    # MLflow cannot delete a metric: one that is no longer valid, e.g. after a retry, becomes NaN.
    gone = dict.fromkeys(known.metrics.keys() - row.metrics.keys() - {STEP}, math.nan)
    wanted = gone | dict(row.metrics)
    if all(_is_same(known.metrics.get(name), value) for name, value in wanted.items()):
        return {}
    return {**wanted, STEP: float(known.step + 1)}


def _is_same(known: float | None, value: float) -> bool:
    return known == value or (known is not None and math.isnan(known) and math.isnan(value))


def attach(
    client: MlflowClient, run_id: str, tags: Mapping[str, str], name: str, text: str
) -> dict[str, str]:
    """Upload a file unless the run's tags hold its digest.

    Args:
        client: Client of the MLflow store.
        run_id: Id of the run.
        tags: Tags of the run.
        name: Name of the file.
        text: Its content.

    Returns:
        The tag to set, so that a second call does nothing; empty if the run has it.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    if tags.get(FILE_TAG + name) == digest:
        return {}
    client.log_text(run_id, text, name)
    return {FILE_TAG + name: digest}


def _known(run: Any) -> _CellRun:
    tags, metrics = dict(run.data.tags), dict(run.data.metrics)
    return _CellRun(run.info.run_id, run.info.run_name, tags, metrics)
