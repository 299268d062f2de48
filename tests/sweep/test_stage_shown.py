"""Cells over their seeds, as MLflow shows them."""

import csv
import io

import pytest

from handssl.sweep.plan import plan_stage
from handssl.sweep.stage_shown import cell_rows, stage_view
from handssl.sweep.stages import Selection
from handssl.sweep.study import Study
from handssl.tracking.ledger import Ledger
from handssl.tracking.record import TrialRecord

STUDY = Study.parse(
    {
        "name": "x",
        "stages": [{"kind": "objectives", "transformations": ["rotate", "blur"]}],
        "blocks": [1, 2],
        "references": False,
        "pretrain": {"epochs": 2, "optimizer": {"warmup_epochs": 1}},
    }
)
(STAGE,) = STUDY.all_stages
TRIALS = plan_stage(STUDY, STAGE, {}, lambda data: "data")


def record(trial, outcome, mm, study="x"):
    metrics = {"median_mm": mm, "mpje_mm": mm + 5}
    return TrialRecord(
        trial_id=trial.trial_id,
        study=study,
        stage="objectives",
        cell=trial.cell,
        composition=trial.composition,
        objective=trial.objective,
        block=trial.block,
        outcome=outcome,
        epoch=2 if outcome == "completed" else 1,
        epochs=2,
        metrics=metrics,
    )


def rows(values, *, final):
    records = {
        trial.trial_id: record(trial, *values[trial.cell, trial.block])
        for trial in TRIALS
        if (trial.cell, trial.block) in values
    }
    return {row.label: row for row in cell_rows("x", TRIALS, records, final=final)}


def test_a_cell_shows_the_mean_and_spread_of_its_completed_blocks():
    values = {
        ("relative rotate", 1): ("completed", 70.0),
        ("relative rotate", 2): ("completed", 74.0, "other"),
        ("contrastive rotate", 1): ("running", 90.0),
    }
    found = rows(values, final=False)
    assert list(found) == ["relative rotate"]
    row = found["relative rotate"]
    assert row.metrics["median_mm"] == 72.0
    assert row.metrics["mpje_mm"] == 77.0
    assert (row.metrics["median_mm_min"], row.metrics["median_mm_max"]) == (70.0, 74.0)
    assert row.metrics["median_mm_sd"] == pytest.approx(8**0.5)
    assert row.tags["outcomes"] == "2 completed"
    assert row.tags["reused"] == "1"


def test_a_cell_that_was_stopped_everywhere_shows_no_mean():
    values = {("contrastive blur", 1): ("stopped", 90.0), ("contrastive blur", 2): ("failed", 80.0)}
    row = rows(values, final=True)["contrastive blur"]
    assert "median_mm" not in row.metrics
    assert row.tags["outcomes"] == "1 failed, 1 stopped"
    assert row.metrics["blocks_completed"] == 0


def test_at_the_end_the_mean_is_adjusted_as_the_choice_is():
    values = {
        ("relative rotate", 1): ("completed", 70.0),
        ("relative rotate", 2): ("completed", 80.0),
        ("contrastive rotate", 1): ("completed", 71.0),
        ("contrastive rotate", 2): ("stopped", 99.0),
    }
    found = rows(values, final=True)
    assert found["contrastive rotate"].metrics["median_mm"] == pytest.approx(76.0)
    assert found["contrastive rotate"].step == 3


def test_the_files_of_a_stage_are_its_study_trials_choice_and_curves(tmp_path):
    ledger = Ledger(tmp_path)
    for trial in TRIALS:
        own = record(trial, "running", 70.0)
        ledger.save(own)
        for epoch in (1, 2):
            own = own.model_copy(update={"epoch": epoch})
            own = ledger.report(own, {"median_mm": 70.0 - epoch})
    before = stage_view(STUDY, "objectives", TRIALS, ledger).files()
    assert set(before) == {"study.yaml", "trials.csv"}
    chosen = Selection(stage="objectives")
    files = stage_view(STUDY, "objectives", TRIALS, ledger, chosen).files()
    assert set(files) == {*before, "selection.json", "curves.csv"}
    assert Selection.model_validate_json(files["selection.json"]) == chosen
    curves = list(csv.DictReader(io.StringIO(files["curves.csv"])))
    assert len(curves) == 2 * len(TRIALS)
    assert {float(row["median_mm"]) for row in curves} == {69.0, 68.0}
    plan = list(csv.DictReader(io.StringIO(files["trials.csv"])))
    assert [row["trial_id"] for row in plan] == [trial.trial_id for trial in TRIALS]
