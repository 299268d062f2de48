"""A driver whose study was taken over neither opens nor writes runs in MLflow."""

from __future__ import annotations

import pytest

from handssl.errors import TakenOverError
from handssl.ledger import Ledger
from handssl.ledger.claims import study_key
from handssl.tracking.mlflow_store import MlflowRuns, Shown
from handssl.tracking.stage_view import CellRow, StageView
from handssl.tracking.tracker import MlflowTracker
from tests.stores import copied_stores  # noqa: F401
from tests.tracking.test_mlflow_store import record

STUDY = "demo"


@pytest.fixture
def uri(tmp_path):
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def first(tmp_path):
    """A driver that has claimed the study, and whose lease is over."""
    ledger = Ledger(tmp_path)
    ledger.claims.lease_s = -1.0
    assert ledger.claims.take([study_key(STUDY)])
    assert ledger.claims.take([record(1).trial_id])
    yield ledger
    ledger.close()


@pytest.fixture
def second(tmp_path, first):
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


def take_over(ledger):
    assert ledger.claims.take([study_key(STUDY)])
    assert ledger.claims.take([record(1).trial_id])


def runs(uri):
    """Return the runs of the study that are not deleted, as status and steps."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(STUDY)
    active = client.search_runs([found.experiment_id]) if found else []
    return {
        f"{run.data.tags['kind']} {run.data.tags.get('cell', '')}": (
            run.info.status,
            [point.step for point in client.get_metric_history(run.info.run_id, "median_mm")],
        )
        for run in active
    }


def view():
    row = CellRow("relative rotate 1", {"blocks": "1"}, {"median_mm": 70.0})
    return StageView("objectives", lambda: [row], dict)


def test_what_the_first_would_still_write_is_left_to_the_second(uri, first, second):
    entry = record(1)
    first.save(entry)
    tracker = MlflowTracker(uri, STUDY, first)
    tracker.start(entry, entry.config)
    tracker.sync()
    take_over(second)
    second.report(entry.model_copy(update={"epoch": 1}), {"median_mm": 70.0})
    tracker.log_epoch(entry, 1, {"median_mm": 70.0})
    tracker.show_stage(view())
    tracker.finish(entry)
    tracker.close(complete=True)
    name = "trial relative rotate 1"
    assert runs(uri) == {name: ("RUNNING", [])}
    other = MlflowTracker(uri, STUDY, second)
    second.save(entry.model_copy(update={"outcome": "completed", "epoch": 1}))
    other.catch_up()
    other.close()
    assert runs(uri) == {name: ("FINISHED", [1])}


def test_a_run_that_was_made_while_the_study_was_taken_over_is_deleted(uri, first, second):
    def late(*_):
        first.claims.require_now()

    made = MlflowRuns(uri, STUDY, late)
    made.stage_run("objectives")
    take_over(second)
    with pytest.raises(TakenOverError):
        made.bring_up(Shown(record(1), running=True))
    with pytest.raises(TakenOverError):
        made.bring_up_stage(view())
    with pytest.raises(TakenOverError):
        made.stage_run("compositions")
    assert runs(uri) == {"stage ": ("FINISHED", [])}
