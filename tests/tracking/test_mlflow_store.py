"""MLflow against a real SQLite store: every point once, and never in the way of training."""

import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from handssl.ledger import Ledger, TrialRecord
from handssl.tracking.conventions import ui_command

store_module = pytest.importorskip("handssl.tracking.mlflow_store")
tracker_module = pytest.importorskip("handssl.tracking.tracker")


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


class Recorded:
    """A record and a tracker, used in the order in which the recorder uses them."""

    def __init__(self, uri, study, folder):
        self.store = Ledger(folder)
        self.tracker = tracker_module.MlflowTracker(uri, study, self.store)

    def start(self, entry):
        self.store.save(entry)
        return self.tracker.start(entry, entry.config)

    def epoch(self, entry, epoch, metrics):
        self.store.append_epoch(entry.trial_id, epoch, metrics)
        return self.tracker.log_epoch(entry, epoch, metrics)

    def finish(self, entry, **changes):
        entry = entry.model_copy(update=changes)
        self.store.save(entry)
        self.tracker.finish(entry)

    def close(self, entry):
        """Return the run's id as it stands in the record afterwards."""
        self.tracker.close()
        return self.store.load(entry.trial_id).mlflow_run_id


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(uri):
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def points(client, run_id, name="median_mm"):
    return [(p.step, p.value) for p in client.get_metric_history(run_id, name)]


def test_a_trial_is_one_run_with_parameters_tags_and_steps(uri, client, tmp_path):
    trial, entry = Recorded(uri, "demo", tmp_path), record(1)
    trial.start(entry)
    trial.epoch(entry, 1, {"median_mm": 70.0, "train/loss/rotate": 0.5})
    trial.epoch(entry, 2, {"median_mm": 65.0, "train/loss/rotate": 0.4})
    trial.finish(entry, outcome="completed")
    run = client.get_run(trial.close(entry))
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
    assert points(client, run.info.run_id) == [(1, 70.0), (2, 65.0)]
    assert "mlflow.parentRunId" not in run.data.tags  # it has no cell


def test_a_point_carries_the_time_at_which_it_was_recorded(uri, client, tmp_path):
    trial, entry = Recorded(uri, "demo", tmp_path), record(10)
    trial.store.save(entry.model_copy(update={"outcome": "completed", "epoch": 2}))
    for epoch in (1, 2):
        trial.store.append_epoch(entry.trial_id, epoch, {"median_mm": 70.0})
    trial.tracker.catch_up()
    run = client.get_run(trial.close(entry))
    times = [row.time_ms for row in trial.store.history(entry.trial_id)]
    history = client.get_metric_history(run.info.run_id, "median_mm")
    assert [point.timestamp for point in history] == times
    assert (run.info.start_time, run.info.end_time) == (times[0], times[1])


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("stopped", "FINISHED"),
        ("diverged", "FINISHED"),
        ("failed", "FAILED"),
        ("running", "KILLED"),
    ],
)
def test_every_outcome_has_its_status(uri, client, tmp_path, outcome, status):
    trial, entry = Recorded(uri, "outcomes", tmp_path), record(50 + len(outcome))
    trial.start(entry)
    trial.finish(entry, outcome=outcome)
    run = client.get_run(trial.close(entry))
    assert (run.info.status, run.data.tags["outcome"]) == (status, outcome)
    assert ("diverged" in run.data.metrics) == (outcome == "diverged")


def test_an_interrupted_trial_continues_its_run_and_logs_no_step_twice(uri, client, tmp_path):
    first, entry = Recorded(uri, "demo", tmp_path), record(2)
    first.start(entry)
    first.epoch(entry, 1, {"median_mm": 70.0})
    first.finish(entry)
    run_id = first.close(entry)
    for known in (record(2, mlflow_run_id=run_id), entry):  # found by id, else by the tag
        again = Recorded(uri, "demo", tmp_path)
        again.start(known)
        again.epoch(known, 1, {"median_mm": 70.0})
        again.tracker.sync()
        assert client.get_run(run_id).info.status == "RUNNING"
        again.epoch(known, 2, {"median_mm": 60.0})
        again.tracker.sync()
        assert again.tracker.log_epoch(known, 2, {}) == run_id
        again.finish(known)
        assert again.close(known) == run_id
    assert points(client, run_id) == [(1, 70.0), (2, 60.0)]


def test_an_epoch_without_a_probe_is_logged_once_too(uri, client, tmp_path):
    entry, ended = record(6, study="bare"), {"outcome": "diverged", "epoch": 2}
    first, again = (Recorded(uri, "bare", tmp_path) for _ in range(2))
    for trial in (first, again):
        trial.start(entry)
        trial.epoch(entry, 1, {"median_mm": 70.0, "train/loss": 1.5})
        trial.epoch(entry, 2, {"train/loss": 1.25})
        trial.finish(entry, **ended)
        run_id = trial.close(entry)
    assert Recorded(uri, "bare", tmp_path).tracker.sync() == 0
    assert points(client, run_id, "train/loss") == [(1, 1.5), (2, 1.25)]
    assert points(client, run_id, "diverged") == [(2, 1.0)]


def test_an_epoch_in_which_nothing_was_finite_has_no_points(uri, client, tmp_path):
    trial, entry = Recorded(uri, "demo", tmp_path), record(7)
    trial.start(entry)
    trial.epoch(entry, 1, {"median_mm": 70.0})
    trial.epoch(entry, 2, {})
    trial.finish(entry)
    found = client.get_run(trial.close(entry)).data.metrics
    assert found == {"median_mm": 70.0, "Error/median_mm": 70.0}


def test_tags_of_the_caller_are_there_from_the_start_and_cannot_replace_ours(uri, client, tmp_path):
    trial, entry = Recorded(uri, "demo", tmp_path), record(8, tags={"plan": "0a1b", "cell": "mine"})
    trial.start(entry)
    assert trial.tracker.sync() == 1
    tags = client.get_run(trial.tracker.log_epoch(entry, 0, {})).data.tags
    assert (tags["plan"], tags["cell"]) == ("0a1b", "relative rotate 8")
    trial.tracker.close()


def test_a_run_that_somebody_deleted_is_replaced_by_a_new_one(uri, client, tmp_path, caplog):
    trial, entry = Recorded(uri, "demo", tmp_path), record(9)
    trial.start(entry)
    trial.tracker.sync()
    deleted = trial.tracker.log_epoch(entry, 0, {})
    client.delete_run(deleted)  # while the trial is running
    trial.epoch(entry, 1, {"median_mm": 70.0})
    trial.finish(entry, outcome="completed")
    run_id = trial.close(entry)
    assert run_id != deleted
    assert points(client, run_id) == [(1, 70.0)]
    assert not caplog.records


def test_a_store_that_breaks_says_so_once_and_is_filled_in_later(uri, client, tmp_path, caplog):
    database = uri.removeprefix("sqlite:///")
    trial, entry = Recorded(uri, "broken", tmp_path), record(3, study="broken")
    trial.start(entry)
    trial.epoch(entry, 1, {"median_mm": 70.0})
    trial.tracker.sync()
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE metrics RENAME TO gone")
    for epoch in (2, 3):
        trial.epoch(entry, epoch, {"median_mm": 70.0 - epoch})
    trial.finish(entry, outcome="completed", epoch=3)
    run_id = trial.close(entry)
    assert run_id is None  # not known to the record, found by the tag
    messages = [r.getMessage() for r in caplog.records]
    assert [("training continues" in m, "lacks updates of 1 trial" in m) for m in messages] == [
        (True, False),
        (False, True),
    ]
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE gone RENAME TO metrics")
    connection.close()
    again = Recorded(uri, "broken", tmp_path)
    assert again.tracker.sync() == 1
    run_id = again.close(entry)
    ended = client.get_run(run_id).info.end_time
    assert Recorded(uri, "broken", tmp_path).tracker.sync() == 0  # a current run is left alone
    assert client.get_run(run_id).info.end_time == ended
    assert points(client, run_id) == [(1, 70.0), (2, 68.0), (3, 67.0)]
    assert client.get_run(run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    "place", ["sqlite:///{}/file/mlflow.db", "http://127.0.0.1:9", "mysql://127.0.0.1:9/no_driver"]
)
def test_a_store_that_cannot_be_reached_does_not_stop_a_trial(tmp_path, place, caplog):
    (tmp_path / "file").write_text("a file where a folder would have to be")
    trial, entry = Recorded(place.format(tmp_path), "demo", tmp_path), record(4)
    assert trial.start(entry) is None
    assert trial.epoch(entry, 1, {"median_mm": 70.0}) is None
    assert trial.tracker.sync() == 0
    trial.finish(entry, outcome="completed")
    assert trial.close(entry) is None
    assert ["cannot be written" in r.getMessage() for r in caplog.records] == [True, False]


def test_runs_are_rebuilt_from_the_records_when_the_store_lacks_them(uri, client, tmp_path):
    trial = Recorded(uri, "lost", tmp_path)
    entry = record(5, study="lost", outcome="stopped", epoch=2, mlflow_run_id="f" * 32)
    trial.store.save(entry)
    for epoch in (1, 2):
        trial.store.append_epoch(entry.trial_id, epoch, {"median_mm": 70.0 - epoch})
    assert trial.tracker.sync() == 1
    run_id = trial.close(entry)
    assert points(client, run_id) == [(1, 69.0), (2, 68.0)]
    assert client.get_run(run_id).data.params["encoder.width"] == "16"


def test_many_epochs_arrive_in_few_requests_and_none_is_divided(uri, client, tmp_path):
    trial, entry = Recorded(uri, "long", tmp_path), record(11, study="long", outcome="completed")
    trial.store.save(entry)
    for epoch in range(1, 61):
        metrics = {f"diagnostics/{i}": float(i) for i in range(40)} | {"median_mm": 1.0 * epoch}
        trial.store.append_epoch(entry.trial_id, epoch, metrics)
    written = []
    log_batch = trial.tracker._runs.client.log_batch
    trial.tracker._runs.client.log_batch = lambda run_id, metrics, *rest: (
        written.append(metrics),
        log_batch(run_id, metrics, *rest),
    )
    assert trial.tracker.sync() == 1
    assert len(written) == 4
    # The error stands twice, the second time for the first chart of the page.
    assert all(len(metrics) % 42 == 0 for metrics in written)
    assert points(client, trial.close(entry)) == [(n, 1.0 * n) for n in range(1, 61)]


def test_a_request_that_arrived_without_an_answer_is_not_repeated(uri, client, tmp_path):
    from mlflow.exceptions import MlflowException

    trial, entry = Recorded(uri, "mute", tmp_path), record(12, study="mute", outcome="completed")
    trial.store.save(entry)
    trial.store.append_epoch(entry.trial_id, 1, {"median_mm": 70.0})
    shown = store_module.Shown(entry, trial.store.history(entry.trial_id))
    runs = trial.tracker._runs

    def mute(name):
        original = getattr(runs.client, name)

        def once(*arguments, **options):
            setattr(runs.client, name, original)
            original(*arguments, **options)
            raise MlflowException("no answer")

        setattr(runs.client, name, once)

    for name in ("create_run", "log_batch", "set_terminated"):
        mute(name)
        with pytest.raises(tracker_module.UnavailableError):
            runs.bring_up(shown)
    run_id, changed = runs.bring_up(shown)
    assert not changed
    assert points(client, run_id) == [(1, 70.0)]
    found = client.search_runs([runs.experiment], f"tags.trial_id = '{entry.trial_id}'")
    assert [run.info.run_id for run in found] == [run_id]


def test_a_run_created_by_a_request_that_was_late_is_deleted(uri, client, tmp_path):
    from mlflow.exceptions import MlflowException

    trial, entry = Recorded(uri, "late", tmp_path), record(13, study="late", outcome="completed")
    runs = trial.tracker._runs
    original, held = runs.client.create_run, []

    def late(*arguments, **options):
        runs.client.create_run = original
        held.append((arguments, options))
        raise MlflowException("timeout")

    runs.stage_run(entry.stage)
    runs.client.create_run = late
    with pytest.raises(tracker_module.UnavailableError):
        runs.bring_up(store_module.Shown(entry, running=True))
    run_id, _ = runs.bring_up(store_module.Shown(entry, running=True))
    ((arguments, options),) = held
    original(*arguments, **options)  # the server was only slow
    assert runs.bring_up(store_module.Shown(entry))[0] == run_id
    found = client.search_runs([runs.experiment], f"tags.trial_id = '{entry.trial_id}'")
    assert [run.info.run_id for run in found] == [run_id]


def test_a_new_store_is_made_without_a_word_and_without_the_network(tmp_path):
    code = """
import sys
from pathlib import Path
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("network:", event, arguments[1:], flush=True)
        raise OSError("no network here")
sys.addaudithook(watch)
from handssl.ledger import Ledger
from handssl.ledger import TrialRecord
from handssl.tracking.tracker import MlflowTracker
record = TrialRecord(trial_id="0" * 16, study="s", stage="o", cell="c", composition="none",
    objective="contrastive", block=1, outcome="completed", epochs=1)
store = Ledger(Path(sys.argv[2]))
store.save(record)
store.append_epoch(record.trial_id, 1, {"median_mm": 70.0})
tracker = MlflowTracker(sys.argv[1], "s", store)
tracker.start(record, {"a": 1})
tracker.finish(record)
tracker.close()
assert store.load(record.trial_id).mlflow_run_id
"""
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path)]
    # A bare environment: MLflow sends no telemetry where it believes that tests are running.
    bare = {"HOME": str(tmp_path), "PYTHONPATH": str(Path(store_module.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_that_opens_the_ui_runs(uri):
    command = shlex.split(ui_command(uri))
    assert command[-2:] == ["--backend-store-uri", uri]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "http://x:5000" in ui_command("http://x:5000")
