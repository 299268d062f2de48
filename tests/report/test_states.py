"""Studies in every state have a report in every format that says what state they are in."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from handssl.cli.app import invoke
from handssl.ledger import Ledger
from handssl.ledger.record import EpochMetrics
from handssl.planning.preregistration import keep
from handssl.report.effects import study_effects
from handssl.report.formats.writing import FORMATS
from handssl.report.from_mlflow import report_from_mlflow
from handssl.report.headline import headline
from handssl.report.of_study import study_report
from handssl.report.rows import row_of
from handssl.stats.full_grid import full_effects
from handssl.stats.skeleton import subsets
from tests.report.made_up import report_of
from tests.report.test_effects_of_rows import NAMES, PLANNED, grid, value
from tests.report.test_of_study import cells, data, run, study  # noqa: F401  (data is a fixture)


def _empty(storage, fingerprint):
    keep(cells("a"), storage, Ledger(storage), lambda event: None)


def _ending(outcome, *, of=3):
    def made(storage, fingerprint):
        names = ["blur", "cutout", "noise"][:of]
        run(cells("a"), storage, fingerprint, lambda t: _end(t, names))

    def _end(trial, names):
        return outcome if trial.composition in names else "completed"

    return made


STATES = {
    "empty": (_empty, "No trial has finished yet."),
    "running": (_ending("running"), "No trial has finished yet: 3 begun."),
    "diverged": (_ending("diverged"), "No trial has a result: 3 diverged."),
    "failed": (_ending("failed"), "No trial has a result: 3 failed."),
    "incomplete": (_ending("running", of=1), "Lowest self-supervised error: contrastive cutout"),
    "one block": (_ending("running", of=0), "All of this is undecided: one seed."),
}


@pytest.mark.parametrize("state", STATES)
def test_a_study_in_any_state_says_so_in_every_format(tmp_path, data, state, capsys):  # noqa: F811
    made, said = STATES[state]
    made(tmp_path, data)
    found = study_report("a", tmp_path, "sqlite://")
    for name, one in FORMATS.items():
        text = one.render(found)
        assert not re.search(r"\bnan\b", text)
        assert name == "csv" or said in " ".join(text.replace("\n% ", " ").split())
    csv = FORMATS["csv"].render(found).splitlines()
    assert len(csv) == 1 + len(found.records)
    assert invoke(["report", str(tmp_path), "--study", "a"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert said in out
    if state in ("empty", "running", "incomplete"):
        assert "handssl study run a" in out
    if state == "empty":
        assert "3 not begun" in out


@pytest.mark.parametrize("state", STATES)
def test_from_mlflow_the_same_state_has_the_same_headline(tmp_path, data, state, monkeypatch):  # noqa: F811
    from handssl.tracking import logged_study

    made, said = STATES[state]
    made(tmp_path, data)
    ledger = Ledger(tmp_path)
    records = ledger.all("a")
    logged = logged_study.LoggedStudy(records, {r.trial_id: [] for r in records}, ())
    monkeypatch.setattr(logged_study, "read_logged_study", lambda *_: logged)
    found = report_from_mlflow("sqlite://", "a", tmp_path)
    assert said in headline(found.rows)
    for one in FORMATS.values():
        assert one.render(found)


def test_a_study_whose_first_stage_is_not_over_says_which_stage_waits_for_it(tmp_path, data):  # noqa: F811
    keep(study(), tmp_path, Ledger(tmp_path), lambda event: None)
    text = FORMATS["html"].render(study_report("mine", tmp_path, "sqlite://"))
    assert "Stage compositions is not shown: it waits for the choice of objectives." in text
    assert "No trial has finished yet." in text


def test_a_search_alone_is_not_called_unfinished(rows):
    found = [replace(row, stage="search", stage_kind="hyperparameters") for row in rows]
    assert headline(found) == ("No stage that compares cells of the current plan has a result yet.")


def test_a_finished_trial_whose_curve_is_lost_still_counts_with_its_last_value():
    whole = grid(1, 2)
    lost = [replace(row, curve=()) if row.label == "mixed rotate" else row for row in whole]
    plain = full_effects([{c: value(c, block) for c in subsets(NAMES)} for block in (1, 2)])
    found = study_effects(lost, PLANNED)
    assert found.method == "all compositions in 2 blocks"
    assert {n: e.mm for n, e in found.effects.items()} == pytest.approx(
        {n: e.mm for n, e in plain.items()}
    )


def test_a_report_of_stopped_trials_without_any_curve_has_no_effects_and_no_traceback():
    stopped = [
        replace(row, curve=(), outcome="stopped" if "rotate" in row.composition else row.outcome)
        for row in grid(1)
    ]
    for one in FORMATS.values():
        assert one.render(report_of(stopped, planned=PLANNED))


def test_an_epoch_without_the_primary_measure_leaves_a_gap_in_the_curve_alone(tmp_path, data):  # noqa: F811
    run(cells("a"), tmp_path, data)
    record = Ledger(tmp_path).all("a")[0]
    row = row_of(record, [EpochMetrics(epoch=1, metrics={"train/loss": 1.0})])
    assert (row.curve, row.finished) == ((), True)
