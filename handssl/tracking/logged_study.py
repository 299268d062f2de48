"""Read a study back from MLflow: runs of its trials, curves, and the files of its stages."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.artifacts
from mlflow.tracking import MlflowClient
from mlflow.utils.rest_utils import http_request, verify_rest_response

from handssl.errors import InputError
from handssl.evaluation.metric_names import ERROR_SECTION, PRIMARY_METRIC
from handssl.ledger.record import EpochMetrics, TrialRecord
from handssl.tracking.mlflow_client import open_client, sorted_errors
from handssl.tracking.stage_view import FILE_TAG

# Limits of MLflow's bulk endpoint: runs and points of a request. A store that is opened directly
# takes more.
_RUNS, _POINTS, _POINTS_DIRECT = 100, 25_000, 50_000
_BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
_FILES = ("plan.json", "trials.csv", "selection.json")
# Load of the machine, and errors that stand there a second time.
_NOT_MEASURED = ("system/", f"{ERROR_SECTION}/")
Histories = dict[str, list[EpochMetrics]]


@dataclass(frozen=True)
class LoggedStage:
    """A stage in MLflow.

    Attributes:
        name: Name of the stage.
        trials: Its planned trials, in order: fields of `trials.csv` by name; empty if not logged.
        plan: Its plan as logged; empty if not logged.
        selection: Its selection as JSON values; None if not logged.
    """

    name: str
    trials: tuple[Mapping[str, str], ...]
    plan: Mapping[str, Any]
    selection: Mapping[str, Any] | None


@dataclass(frozen=True)
class LoggedStudy:
    """A study in MLflow.

    Attributes:
        records: Records of its trials, by what their runs hold.
        histories: The primary metric after each epoch, by trial id.
        stages: Its stages in the order in which they began.
    """

    records: tuple[TrialRecord, ...]
    histories: Histories
    stages: tuple[LoggedStage, ...]


def read_logged_study(tracking_uri: str, study: str) -> LoggedStudy:
    """Read a study from MLflow; the number of requests does not grow with each trial.

    Args:
        tracking_uri: URI of the MLflow store.
        study: Name of the experiment.

    Raises:
        InputError: There is no such experiment, or no trial in it.
        UnavailableError: The store is not reachable.
    """
    with sorted_errors():
        client = open_client(tracking_uri)
        found = client.get_experiment_by_name(study)
        if found is None:
            names = ", ".join(one.name for one in client.search_experiments(max_results=20))
            raise InputError(f"--study {study}: expected one of {names} in {tracking_uri}")
        runs = list(_runs(client, found.experiment_id, "trial"))
        stages = list(_runs(client, found.experiment_id, "stage"))
        histories = _histories(client, runs)
        stages.sort(key=lambda run: run.info.start_time)
        logged = tuple(_stage(tracking_uri, run) for run in stages)
    return LoggedStudy(tuple(map(_record, runs)), histories, logged)


def _runs(client: MlflowClient, experiment: str, kind: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs(
            [experiment], f"tags.kind = '{kind}'", max_results=1000, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _record(run: Any) -> TrialRecord:
    tags, params = run.data.tags, dict(run.data.params)
    points = [
        p for p in getattr(run.data, "_metric_objs", ()) if not p.key.startswith(_NOT_MEASURED)
    ]
    last = max((int(point.step) for point in points), default=0)
    named = ("trial_id", "study", "stage", "cell", "composition", "objective")
    return TrialRecord(
        **{name: tags[name] for name in named},
        block=int(tags["block"]),
        outcome=tags["outcome"],
        epoch=last,
        epochs=0 if tags["objective"] == "reference" else int(params.get("epochs", last)),
        metrics={p.key: p.value for p in points if p.step == last and p.key != "diverged"},
        mlflow_run_id=run.info.run_id,
        tags={key: value for key, value in tags.items() if not key.startswith("mlflow.")},
        config=_nested(params),
    )


def _nested(params: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters with dotted names as nested values; lists are read back."""
    nested: dict[str, Any] = {}
    for name, text in params.items():
        *parents, last = name.split(".")
        place = nested
        for parent in parents:
            inner = place.setdefault(parent, {})
            place = inner if isinstance(inner, dict) else {}
        place[last] = ast.literal_eval(text) if text.startswith(("[", "(")) else text
    return nested


def _histories(client: MlflowClient, runs: Sequence[Any]) -> Histories:
    names = {run.info.run_id: run.data.tags["trial_id"] for run in runs}
    found: Histories = {}
    ids = sorted(names)
    for start in range(0, len(ids), _RUNS):
        for run_id, step, value in _points(client, ids[start : start + _RUNS]):
            entry = EpochMetrics(epoch=step, metrics={PRIMARY_METRIC: value})
            found.setdefault(names[run_id], []).append(entry)
    return {name: sorted(entries, key=lambda e: e.epoch) for name, entries in found.items()}


def _points(client: MlflowClient, run_ids: Sequence[str]) -> list[tuple[str, int, float]]:
    """Return (run id, step, value) of the primary metric; halves a request that has too many."""
    store = client._tracking_client.store
    direct = hasattr(store, "get_metric_history_bulk")
    most = _POINTS_DIRECT if direct else _POINTS
    if direct:
        points = [p.to_dict() for p in store.get_metric_history_bulk(run_ids, PRIMARY_METRIC, most)]
    else:
        points = _request(store, run_ids, most)
    if len(points) >= most and len(run_ids) > 1:
        middle = len(run_ids) // 2
        return [*_points(client, run_ids[:middle]), *_points(client, run_ids[middle:])]
    return [(p["run_id"], int(p["step"]), float(p["value"])) for p in points]


def _request(store: Any, run_ids: Sequence[str], most: int) -> list[dict[str, Any]]:
    params = {"run_id": list(run_ids), "metric_key": PRIMARY_METRIC, "max_results": most}
    answer = http_request(store.get_host_creds(), _BULK, "GET", params=params)
    points: list[dict[str, Any]] = verify_rest_response(answer, _BULK).json().get("metrics", [])
    return points


def _stage(tracking_uri: str, run: Any) -> LoggedStage:
    text = {name: _file(tracking_uri, run, name) for name in _FILES}
    return LoggedStage(
        run.data.tags["stage"],
        tuple(csv.DictReader(io.StringIO(text["trials.csv"]))),
        json.loads(text["plan.json"] or "{}"),
        json.loads(text["selection.json"]) if text["selection.json"] else None,
    )


def _file(tracking_uri: str, run: Any, name: str) -> str:
    if FILE_TAG + name not in run.data.tags:
        return ""
    path = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path=name, tracking_uri=tracking_uri
    )
    return Path(path).read_text(encoding="utf-8")
