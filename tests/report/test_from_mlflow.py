"""A report from MLflow alone has the rows of the report from the ledger, and says what it lacks."""

from __future__ import annotations

import csv
import io
import logging
import time
from dataclasses import replace

import pytest

from handssl.cli.app import invoke
from handssl.data.splits import StudyData
from handssl.execution.stage_summary import stage_view
from handssl.ledger import Ledger
from handssl.report.formats.trials_csv import trials_csv
from handssl.report.mlflow_report import log_report
from handssl.report.of_study import study_report
from handssl.study.trials import plan_stage
from tests.report.made_up import report_of
from tests.report.test_of_study import run, study

KINDS = ("objectives", "compositions")
tracker = pytest.importorskip("handssl.tracking.tracker")


@pytest.fixture(scope="module")
def storage(tmp_path_factory, blob_data):
    """A study of two stages with a failed and a diverged trial, in the ledger and in MLflow."""
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handssl.execution.status.prepared", lambda *_, **__: blob_data)
        _record(folder, StudyData(blob_data).fingerprint)
    return folder


def uri_of(folder):
    return f"sqlite:///{folder / 'mlflow.db'}"


def _record(folder, data):
    names = ["blur", "rotate"]
    planned = study(stages=[{"kind": kind, "transformations": names} for kind in KINDS])

    def ends(trial):
        lost = {"contrastive none": "diverged", "mixed blur+rotate (rotate)": "failed"}
        return lost.get(trial.cell, "completed") if trial.block == 2 else "completed"

    found = run(planned, folder, data, ends)
    ledger, chosen = Ledger(folder), {one.stage: one for one in found.selections}
    shown = tracker.MlflowTracker(uri_of(folder), planned.name, ledger, models="none")
    for stage in planned.all_stages:
        trials = plan_stage(planned, stage, chosen, lambda _: data)
        shown.show_stage(stage_view(planned, stage.name, trials, ledger, chosen.get(stage.name)))
    shown.catch_up()
    shown.close(complete=True, timeout_s=240)


@pytest.fixture
def ledger_report(storage, blob_data, monkeypatch):
    monkeypatch.setattr("handssl.execution.status.prepared", lambda *_, **__: blob_data)
    return study_report("mine", storage, uri_of(storage))


@pytest.fixture
def mlflow_report(storage, tmp_path):
    from handssl.report.from_mlflow import report_from_mlflow

    return report_from_mlflow(uri_of(storage), "mine", tmp_path)


def test_both_sources_give_the_same_rows_choices_and_effects(ledger_report, mlflow_report):
    assert mlflow_report.rows == ledger_report.rows
    assert len(mlflow_report.rows) > 12
    assert mlflow_report.choices == ledger_report.choices
    assert mlflow_report.planned == ledger_report.planned
    assert mlflow_report.effects == ledger_report.effects


def test_both_sources_give_the_same_metrics_of_every_trial(ledger_report, mlflow_report):
    first, second = (
        list(csv.DictReader(io.StringIO(trials_csv(one)))) for one in (ledger_report, mlflow_report)
    )
    assert first == second


def test_the_number_of_requests_does_not_grow_with_the_trials(storage, tmp_path, monkeypatch):
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from handssl.report.from_mlflow import report_from_mlflow

    calls = []
    real = SqlAlchemyStore.get_metric_history_bulk
    monkeypatch.setattr(SqlAlchemyStore, "get_metric_history", lambda *a, **k: calls.append(a))
    monkeypatch.setattr(
        SqlAlchemyStore, "get_metric_history_bulk", lambda *a: calls.append(a) or real(*a)
    )
    found = report_from_mlflow(uri_of(storage), "mine", tmp_path)
    assert len(calls) == 1
    assert all(row.curve for row in found.rows if row.kind == "trial" and row.epoch)


def test_the_command_says_what_mlflow_does_not_hold(storage, tmp_path, capsys):
    words = ["report", str(tmp_path / "here"), "--from-mlflow", uri_of(storage)]
    assert invoke([*words, "--study", "mine"]) == 0
    out = capsys.readouterr().out
    assert "This report was read from MLflow" in " ".join(out.split())
    assert (tmp_path / "here" / "mine.html").is_file()
    assert invoke(words) == 2
    assert "expected --study NAME" in capsys.readouterr().err
    assert invoke([*words, "--study", "yours"]) == 2
    assert "expected one of" in capsys.readouterr().err


def test_a_store_that_is_not_reachable_is_one_message(tmp_path, capsys):
    words = ["report", "--from-mlflow", "http://127.0.0.1:9", "--study", "mine"]
    assert invoke([*words[:1], str(tmp_path), *words[1:]]) == 2
    assert "expected a reachable MLflow store" in capsys.readouterr().err


def test_the_report_is_attached_to_the_run_of_the_last_stage(storage, ledger_report):
    from mlflow.tracking import MlflowClient

    log_report(ledger_report)
    client = MlflowClient(uri_of(storage))
    experiment = client.get_experiment_by_name("mine").experiment_id
    condition = "tags.kind = 'stage' and tags.stage = 'compositions'"
    (stage,) = client.search_runs([experiment], condition)
    names = {one.path for one in client.list_artifacts(stage.info.run_id)}
    assert {"report.html", "report.md", "report.csv"} <= names


def test_a_report_waits_for_no_server_that_is_not_reachable(ledger_report, caplog):
    before_s = time.monotonic()
    with caplog.at_level(logging.WARNING, "handssl"):
        log_report(replace(ledger_report, tracking_uri="http://127.0.0.1:9"))
    assert time.monotonic() - before_s < 15
    assert "lacks the report of mine" in caplog.text
    assert "the next run of the study attaches it" in caplog.text


def test_a_pretraining_without_a_study_attaches_nothing(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "handssl"):
        log_report(report_of())
    assert not caplog.text
