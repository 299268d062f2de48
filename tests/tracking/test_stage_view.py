"""The run of a stage and those of its cells, against a real SQLite store."""

from pathlib import Path

import pytest

from handssl.ledger import Ledger
from handssl.tracking.comparison import compare
from handssl.tracking.stage_view import CellRow, StageView
from tests.tracking.test_mlflow_store import Recorded, record

tracker_module = pytest.importorskip("handssl.tracking.tracker")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(uri):
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def row(label, mm, **tags):
    own = {"composition": "rotate", "objective": "relative", "outcomes": "1 completed"}
    return CellRow(label, own | tags, {"median_mm": mm})


def view(*rows, **files):
    return StageView("objectives", lambda: rows, lambda: files or {"study.yaml": "name: x\n"})


def show(uri, study, folder, *views):
    tracker = tracker_module.MlflowTracker(uri, study, Ledger(folder))
    for one in views:
        tracker.show_stage(one)
        tracker._outbox.wait(30)
    tracker.close()
    return tracker._runs


def cells(client, runs):
    found = client.search_runs(
        [runs.experiment], "tags.kind = 'cell'", order_by=["metrics.median_mm"]
    )
    return [(run.data.tags["cell"], run.data.metrics["median_mm"]) for run in found]


def test_each_cell_has_one_run_on_the_first_level_with_its_last_means(uri, client, tmp_path):
    first = view(row("relative rotate", 70.0), row("contrastive rotate", 75.0))
    later = view(row("relative rotate", 68.0), row("contrastive rotate", 75.0))
    runs = show(uri, "cells", tmp_path, first, later)
    assert cells(client, runs) == [("relative rotate", 68.0), ("contrastive rotate", 75.0)]
    (cell,) = client.search_runs([runs.experiment], "tags.cell = 'relative rotate'")
    assert "mlflow.parentRunId" not in cell.data.tags
    assert cell.info.status == "FINISHED"
    points = client.get_metric_history(cell.info.run_id, "median_mm")
    assert [(point.step, point.value) for point in points] == [(1, 70.0), (2, 68.0)]


def test_names_of_cells_and_completed_trials_begin_with_their_errors(uri, client, tmp_path):
    trial, entry = Recorded(uri, "named", tmp_path), record(31, study="named")
    errors = {"median_mm": 36.14, "mpje_mm": 43.26}
    trial.start(entry)
    trial.finish(entry, outcome="completed", metrics=errors)
    run_id = trial.close(entry)
    assert client.get_run(run_id).info.run_name == f"36.1 / 43.3 mm · {entry.cell} · block 1"
    rows = [CellRow(entry.cell, {}, {**errors, "median_mm": mm}) for mm in (36.14, 30.0)]
    runs = show(uri, "named", tmp_path, view(rows[0]), view(rows[1]))
    (cell,) = client.search_runs([runs.experiment], "tags.kind = 'cell'")
    assert cell.info.run_name == f"30.0 / 43.3 mm · {entry.cell}"


def test_trials_are_below_their_cell_also_those_that_an_earlier_version_put_below_the_stage(
    uri, client, tmp_path
):
    trial, entry = Recorded(uri, "below", tmp_path), record(32, study="below")
    trial.start(entry)
    trial.finish(entry, outcome="completed")
    run_id = trial.close(entry)
    one = view(row(entry.cell, 70.0))
    runs = show(uri, "below", tmp_path, one)
    (cell,) = client.search_runs([runs.experiment], "tags.kind = 'cell'")
    parent = lambda run: client.get_run(run).data.tags.get("mlflow.parentRunId")  # noqa: E731
    assert parent(run_id) == cell.info.run_id
    for stored in (run_id, cell.info.run_id):
        client.set_tag(stored, "mlflow.parentRunId", runs.stage_run("objectives"))
    show(uri, "below", tmp_path, one)
    assert (parent(run_id), parent(cell.info.run_id)) == (cell.info.run_id, None)


def test_a_trial_that_starts_after_its_cell_is_below_it(uri, client, tmp_path):
    entry = record(33, study="later")
    trial = Recorded(uri, "later", tmp_path)
    trial.tracker.show_stage(view(row(entry.cell, 70.0)))
    trial.tracker._outbox.wait(30)
    trial.start(entry)
    trial.finish(entry, outcome="completed")
    run = client.get_run(trial.close(entry))
    assert client.get_run(run.data.tags["mlflow.parentRunId"]).data.tags["kind"] == "cell"


def test_another_process_finds_the_runs_and_adds_no_point_twice(uri, client, tmp_path):
    for _ in range(2):
        runs = show(uri, "again", tmp_path, view(row("relative rotate", 70.0)))
    assert cells(client, runs) == [("relative rotate", 70.0)]
    (cell,) = client.search_runs([runs.experiment], "tags.kind = 'cell'")
    assert len(client.get_metric_history(cell.info.run_id, "median_mm")) == 1
    assert len(client.search_runs([runs.experiment], "tags.kind = 'stage'")) == 1


def test_a_cell_whose_trial_was_retried_shows_the_new_mean_in_another_process(
    uri, client, tmp_path
):
    for mm, outcomes in [(81.0, "2 completed, 1 failed"), (74.0, "3 completed")]:
        runs = show(uri, "retried", tmp_path, view(row("relative rotate", mm, outcomes=outcomes)))
    assert cells(client, runs) == [("relative rotate", 74.0)]
    (cell,) = client.search_runs([runs.experiment], "tags.kind = 'cell'")
    assert cell.data.tags["outcomes"] == "3 completed"
    points = client.get_metric_history(cell.info.run_id, "median_mm")
    assert [(point.step, point.value) for point in points] == [(1, 81.0), (2, 74.0)]


def test_a_mean_that_no_longer_holds_ranks_last(uri, client, tmp_path):
    gone = CellRow("relative rotate", {"objective": "relative"}, {"blocks_completed": 0.0})
    other = row("contrastive rotate", 75.0)
    for _ in range(2):
        runs = show(uri, "gone", tmp_path, view(row("relative rotate", 70.0), other))
        show(uri, "gone", tmp_path, view(gone, other), view(gone, other))
    order = [label for label, _ in cells(client, runs)]
    assert order == ["contrastive rotate", "relative rotate"]
    found = compare(uri, "gone").cells
    assert [cell.label for cell in found] == ["contrastive rotate"]
    (cell,) = client.search_runs([runs.experiment], "tags.cell = 'relative rotate'")
    points = client.get_metric_history(cell.info.run_id, "median_mm")
    assert [point.step for point in points] == [1, 2, 3, 4]


def test_files_of_a_stage_are_uploaded_once_for_each_content(uri, client, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    uploaded, original = [], MlflowClient.log_text

    def log_text(self, run_id, text, name):
        uploaded.append((name, text))
        return original(self, run_id, text, name)

    monkeypatch.setattr(MlflowClient, "log_text", log_text)
    show(uri, "files", tmp_path, view(), view())
    runs = show(uri, "files", tmp_path, view(), view(**{"study.yaml": "name: y\n"}))
    assert uploaded == [("study.yaml", "name: x\n"), ("study.yaml", "name: y\n")]
    listed = client.list_artifacts(runs.stage_run("objectives"))
    assert [file.path for file in listed] == ["study.yaml"]


def test_a_trial_that_waits_is_scheduled_and_one_cut_off_is_killed(uri, client, tmp_path):
    trial, entry = Recorded(uri, "waits", tmp_path), record(21, study="waits")
    trial.start(entry)
    trial.tracker.wait(entry)
    trial.tracker._outbox.wait(30)
    condition = f"tags.trial_id = '{entry.trial_id}'"
    status = lambda: client.search_runs([trial.tracker._runs.experiment], condition)[0].info.status  # noqa: E731
    assert status() == "SCHEDULED"
    trial.tracker.finish(entry)
    trial.tracker.close()
    assert status() == "KILLED"


def test_a_trial_shows_its_resolved_configuration_as_a_file(uri, client, tmp_path):
    trial, entry = Recorded(uri, "config", tmp_path), record(22, study="config")
    trial.start(entry)
    trial.finish(entry, outcome="completed")
    run_id = trial.close(entry)
    path = client.download_artifacts(run_id, "config.yaml", str(tmp_path))
    text = Path(path).read_text(encoding="utf-8")
    assert text == "encoder:\n  width: 16\nepochs: 3\n"
