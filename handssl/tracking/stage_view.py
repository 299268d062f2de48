"""What a stage shows in MLflow besides its trials: files on its run, and one run for each cell.

A trial is measured once for each seed; its cell's run holds the mean over them, so that 128
compositions stay comparable, whoever has run their trials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow.tracking import MlflowClient

from handssl.tracking.mlflow_points import batches
from handssl.tracking.record import EpochMetrics

FILE_TAG, STEP = "file.", "updates"


@dataclass(frozen=True)
class CellRow:
    """A cell over its blocks.

    Attributes:
        label: Of the cell.
        tags: What it is, and how its trials stand.
        metrics: Means over completed blocks, their spread, counts.
        step: Rises when the metrics may have changed; each step is written once.
    """

    label: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    step: int


@dataclass(frozen=True)
class StageView:
    """A stage as it is to be shown; asked anew each time something has changed.

    Attributes:
        stage: Its name.
        cells: Gives the cells that have a trial that is over.
        files: Gives name and text of what is attached to the stage's run.
    """

    stage: str
    cells: Callable[[], Sequence[CellRow]]
    files: Callable[[], Mapping[str, str]]


@dataclass
class _CellRun:
    run_id: str
    step: int
    tags: dict[str, str] = field(default_factory=dict)


class StageRuns:
    """Brings the run of a stage, and those of its cells, up to what they should show.

    Args:
        client: Of the store.
        experiment: Its id.
        study: Name of the study.
        parent: Gives the run of a stage.
    """

    def __init__(
        self, client: MlflowClient, experiment: str, study: str, parent: Callable[[str], str]
    ) -> None:
        self._client, self._experiment, self._study = client, experiment, study
        self._parent = parent
        self._cells: dict[str, dict[str, _CellRun]] = {}
        self._files: dict[str, dict[str, str]] = {}

    def bring_up(self, view: StageView) -> None:
        """Write what is missing; a second time nothing.

        Args:
            view: What is to be shown.
        """
        parent = self._parent(view.stage)
        self._attach(parent, view.files())
        known = self._cells.setdefault(view.stage, self._existing(view.stage))
        for row in view.cells():
            if row.label not in known:
                known[row.label] = self._create(view.stage, parent, row)
            self._write(known[row.label], row)

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

    def _create(self, stage: str, parent: str, row: CellRow) -> _CellRun:
        tags = {"kind": "cell", "study": self._study, "stage": stage, "cell": row.label}
        own = tags | {"mlflow.parentRunId": parent}
        run = self._client.create_run(self._experiment, tags=own, run_name=row.label)
        self._client.set_terminated(run.info.run_id)
        return _CellRun(run.info.run_id, -1, tags)

    def _write(self, known: _CellRun, row: CellRow) -> None:
        tags = {name: value for name, value in row.tags.items() if known.tags.get(name) != value}
        new = row.step > known.step and bool(row.metrics)
        metrics = {**row.metrics, STEP: float(row.step)}
        entries = [EpochMetrics(epoch=row.step, metrics=metrics)] if new else []
        for batch in batches(entries, {}, tags):
            self._client.log_batch(known.run_id, batch.metrics, batch.params, batch.tags)
        known.step = max(known.step, row.step)
        known.tags |= tags


def attach(
    client: MlflowClient, run_id: str, tags: Mapping[str, str], name: str, text: str
) -> dict[str, str]:
    """Upload a file unless the run's tags hold its digest.

    Args:
        client: Of the store.
        run_id: Of the run.
        tags: That the run has.
        name: Of the file.
        text: Its content.

    Returns:
        The tag to be set, so that a second time nothing is done; empty where it is there.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    if tags.get(FILE_TAG + name) == digest:
        return {}
    client.log_text(run_id, text, name)
    return {FILE_TAG + name: digest}


def _known(run: Any) -> _CellRun:
    step = int(run.data.metrics.get(STEP, -1))
    return _CellRun(run.info.run_id, step, dict(run.data.tags))
