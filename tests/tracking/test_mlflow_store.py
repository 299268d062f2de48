"""MLflow against a real SQLite store: every point once, and never in the way of training."""

import shlex
import sqlite3
import subprocess

import pytest

from handssl.tracking import TrialRecord, TrialStore

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


@pytest.mark.parametrize("place", ["sqlite:///{}/file/mlflow.db", "http://127.0.0.1:9"])
def test_a_store_that_cannot_be_reached_does_not_stop_a_trial(tmp_path, place):
    (tmp_path / "file").write_text("a file where a folder would have to be")
    tracker = mlflow_store.MlflowTracker(place.format(tmp_path), "demo")
    with pytest.warns(UserWarning, match="cannot be written"):
        assert tracker.start(record(4), {}) is None
    assert tracker.sync(TrialStore(tmp_path)) == 0


def test_runs_are_rebuilt_from_the_records_when_the_store_is_lost(tmp_path):
    store = TrialStore(tmp_path)
    store.save(record(5, outcome="stopped", epoch=2, mlflow_run_id="f" * 32))
    for epoch in (1, 2):
        store.append_epoch(f"{5:016x}", epoch, {"median_mm": 70.0 - epoch})
    uri = f"sqlite:///{tmp_path}/new.db"
    assert mlflow_store.MlflowTracker(uri, "demo").sync(store) == 1
    from mlflow.tracking import MlflowClient

    run_id = store.load(f"{5:016x}").mlflow_run_id
    assert points(MlflowClient(uri), run_id) == [(1, 69.0), (2, 68.0)]
    assert MlflowClient(uri).get_run(run_id).data.params["encoder.width"] == "16"


def test_the_command_that_opens_the_ui_runs(uri):
    command = shlex.split(mlflow_store.ui_command(uri))
    assert command[-2:] == ["--backend-store-uri", uri]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "http://x:5000" in mlflow_store.ui_command("http://x:5000")
