"""MLflow against a real SQLite store: every point once, and never in the way of training."""

import math
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from handssl.tracking import TrialRecord, TrialStore
from handssl.tracking.conventions import ui_command

mlflow_store = pytest.importorskip("handssl.tracking.mlflow_store")


def record(number=1, **changes):
    values = {
        "trial_id": f"{number:016x}",
        "study": "demo",
        "stage": "objectives",
        "cell": f"relative rotate {number}",
        "composition": "rotate",
        "objective": "relative",
        "block": 1,
        "outcome": "running",
        "epochs": 3,
        "config": {"encoder": {"width": 16}, "epochs": 3},
    }
    return TrialRecord.parse({**values, **changes})


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(uri):
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def started(tracker, entry):
    return entry.model_copy(update={"mlflow_run_id": tracker.start(entry, entry.config)})


def points(client, run_id, name="median_mm"):
    return [(p.step, p.value) for p in client.get_metric_history(run_id, name)]


def test_a_trial_is_one_run_under_its_stage_with_parameters_tags_and_steps(uri, client):
    tracker = mlflow_store.MlflowTracker(uri, "demo")
    entry = started(tracker, record(1))
    tracker.log_epoch(entry, 1, {"median_mm": 70.0, "train/loss/rotate": 0.5})
    tracker.log_epoch(entry, 2, {"median_mm": 65.0, "train/loss/rotate": 0.4})
    tracker.finish(entry.model_copy(update={"outcome": "completed"}))
    run = client.get_run(entry.mlflow_run_id)
    assert run.data.params == {"encoder.width": "16", "epochs": "3"}
    expected = {
        "trial_id": entry.trial_id,
        "stage": "objectives",
        "cell": "relative rotate 1",
        "transformation": "rotate",
        "seed": "1",
        "outcome": "completed",
        "protocol": "root_gtroot_20",
    }
    assert expected.items() <= run.data.tags.items()
    assert run.info.status == "FINISHED"
    assert points(client, entry.mlflow_run_id) == [(1, 70.0), (2, 65.0)]
    parent = client.get_run(run.data.tags["mlflow.parentRunId"])
    assert parent.data.tags["kind"] == "stage"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("stopped", "FINISHED"),
        ("diverged", "FINISHED"),
        ("failed", "FAILED"),
        ("running", "KILLED"),
    ],
)
def test_every_outcome_has_its_status(uri, client, outcome, status):
    tracker = mlflow_store.MlflowTracker(uri, "outcomes")
    entry = started(tracker, record(50 + len(outcome)))
    tracker.finish(entry.model_copy(update={"outcome": outcome}))
    run = client.get_run(entry.mlflow_run_id)
    assert (run.info.status, run.data.tags["outcome"]) == (status, outcome)
    assert ("diverged" in run.data.metrics) == (outcome == "diverged")


def test_an_interrupted_trial_continues_its_run_and_logs_no_step_twice(uri, client):
    first = mlflow_store.MlflowTracker(uri, "demo")
    entry = started(first, record(2))
    first.log_epoch(entry, 1, {"median_mm": 70.0})
    first.finish(entry)
    for known in (entry, record(2)):  # found by the id in the record, else by the tag
        again = mlflow_store.MlflowTracker(uri, "demo")
        reopened = started(again, known)
        assert reopened.mlflow_run_id == entry.mlflow_run_id
        assert client.get_run(entry.mlflow_run_id).info.status == "RUNNING"
        again.log_epoch(reopened, 1, {"median_mm": 70.0})
    again.log_epoch(reopened, 2, {"median_mm": 60.0})
    assert points(client, entry.mlflow_run_id) == [(1, 70.0), (2, 60.0)]


def test_an_epoch_without_a_probe_is_logged_once_too(uri, client, tmp_path):
    store, entry = TrialStore(tmp_path), record(6, study="bare")
    history = {1: {"median_mm": 70.0, "train/loss": 1.5}, 2: {"train/loss": 1.25}}
    first = mlflow_store.MlflowTracker(uri, "bare")
    entry = started(first, entry)
    for epoch, metrics in history.items():
        store.append_epoch(entry.trial_id, epoch, metrics)
        first.log_epoch(entry, epoch, metrics)
    again = mlflow_store.MlflowTracker(uri, "bare")
    again.start(entry, entry.config)
    again.log_epoch(entry, 2, history[2])
    ended = entry.model_copy(update={"outcome": "diverged", "epoch": 2})
    store.save(ended)
    for tracker in (first, again):
        tracker.finish(ended)
    assert mlflow_store.MlflowTracker(uri, "bare").sync(store) == 0
    assert points(client, entry.mlflow_run_id, "train/loss") == [(1, 1.5), (2, 1.25)]
    assert points(client, entry.mlflow_run_id, "diverged") == [(2, 1.0)]


def test_a_value_that_is_not_finite_is_never_logged(uri, client):
    tracker = mlflow_store.MlflowTracker(uri, "demo")
    entry = started(tracker, record(7))
    tracker.log_epoch(entry, 1, {"median_mm": 70.0, "train/loss": math.nan, "mpje_mm": math.inf})
    tracker.log_epoch(entry, 2, {"train/loss": math.nan})
    assert client.get_run(entry.mlflow_run_id).data.metrics == {"median_mm": 70.0}


def test_tags_of_the_caller_are_there_from_the_start_and_cannot_replace_ours(uri, client):
    entry = record(8, tags={"plan": "0a1b", "cell": "mine"})
    tags = client.get_run(mlflow_store.MlflowTracker(uri, "demo").start(entry, {})).data.tags
    assert (tags["plan"], tags["cell"]) == ("0a1b", "relative rotate 8")


def test_a_run_that_somebody_deleted_is_replaced_by_a_new_one(uri, client, recwarn):
    entry = started(mlflow_store.MlflowTracker(uri, "demo"), record(9))
    client.delete_run(entry.mlflow_run_id)
    tracker = mlflow_store.MlflowTracker(uri, "demo")
    reopened = started(tracker, entry)
    tracker.log_epoch(reopened, 1, {"median_mm": 70.0})
    assert reopened.mlflow_run_id != entry.mlflow_run_id
    assert points(client, reopened.mlflow_run_id) == [(1, 70.0)]
    assert not recwarn


def test_a_store_that_breaks_warns_once_and_is_filled_in_later(uri, client, tmp_path):
    database = uri.removeprefix("sqlite:///")
    store, tracker = TrialStore(tmp_path), mlflow_store.MlflowTracker(uri, "broken")
    entry = started(tracker, record(3, study="broken"))
    store.save(entry)
    store.append_epoch(entry.trial_id, 1, {"median_mm": 70.0})
    tracker.log_epoch(entry, 1, {"median_mm": 70.0})
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE metrics RENAME TO gone")
    store.append_epoch(entry.trial_id, 2, {"median_mm": 60.0})
    with pytest.warns(UserWarning, match="training goes on") as caught:
        tracker.log_epoch(entry, 2, {"median_mm": 60.0})
        tracker.log_epoch(entry, 3, {"median_mm": 55.0})
    assert len(caught) == 1
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE gone RENAME TO metrics")
    connection.close()
    store.append_epoch(entry.trial_id, 3, {"median_mm": 55.0})
    store.save(entry.model_copy(update={"outcome": "completed", "epoch": 3}))
    assert mlflow_store.MlflowTracker(uri, "broken").sync(store) == 1
    ended = client.get_run(entry.mlflow_run_id).info.end_time
    assert mlflow_store.MlflowTracker(uri, "broken").sync(store) == 0  # a current run is left alone
    assert client.get_run(entry.mlflow_run_id).info.end_time == ended
    assert points(client, entry.mlflow_run_id) == [(1, 70.0), (2, 60.0), (3, 55.0)]
    assert client.get_run(entry.mlflow_run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    "place", ["sqlite:///{}/file/mlflow.db", "http://127.0.0.1:9", "mysql://127.0.0.1:9/no_driver"]
)
def test_a_store_that_cannot_be_reached_does_not_stop_a_trial(tmp_path, place):
    (tmp_path / "file").write_text("a file where a folder would have to be")
    tracker = mlflow_store.MlflowTracker(place.format(tmp_path), "demo")
    with pytest.warns(UserWarning, match="cannot be written"):
        assert tracker.start(record(4), {}) is None
    assert tracker.sync(TrialStore(tmp_path)) == 0


def test_runs_are_rebuilt_from_the_records_when_the_store_lacks_them(uri, client, tmp_path):
    store = TrialStore(tmp_path)
    store.save(record(5, study="lost", outcome="stopped", epoch=2, mlflow_run_id="f" * 32))
    for epoch in (1, 2):
        store.append_epoch(f"{5:016x}", epoch, {"median_mm": 70.0 - epoch})
    assert mlflow_store.MlflowTracker(uri, "lost").sync(store) == 1
    run_id = store.load(f"{5:016x}").mlflow_run_id
    assert points(client, run_id) == [(1, 69.0), (2, 68.0)]
    assert client.get_run(run_id).data.params["encoder.width"] == "16"


def test_a_new_store_is_made_without_a_word_and_without_the_network(tmp_path):
    code = """
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("network:", event, arguments[1:], flush=True)
        raise OSError("no network here")
sys.addaudithook(watch)
from handssl.tracking import TrialRecord
from handssl.tracking.mlflow_store import MlflowTracker
record = TrialRecord(trial_id="0" * 16, study="s", stage="o", cell="c", composition="none",
    objective="contrastive", block=1, outcome="completed", epochs=1)
tracker = MlflowTracker(sys.argv[1], "s")
record = record.model_copy(update={"mlflow_run_id": tracker.start(record, {"a": 1})})
tracker.log_epoch(record, 1, {"median_mm": 70.0})
tracker.finish(record)
assert tracker.available and record.mlflow_run_id
"""
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/mlflow.db"]
    # A bare environment: MLflow sends no telemetry where it believes that tests are running.
    bare = {"HOME": str(tmp_path), "PYTHONPATH": str(Path(mlflow_store.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_that_opens_the_ui_runs(uri):
    command = shlex.split(ui_command(uri))
    assert command[-2:] == ["--backend-store-uri", uri]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "http://x:5000" in ui_command("http://x:5000")
