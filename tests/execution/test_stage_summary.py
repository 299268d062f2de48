"""Cells over their seeds, as MLflow shows them."""

import csv
import io
from dataclasses import replace

import pytest

from handssl.execution.stage_outcomes import choose
from handssl.execution.stage_summary import stage_view
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.study.stages import Selection
from handssl.study.study import Study
from handssl.study.trials import plan_stage, stage_scheduler

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


def rows(values, ledger):
    records = [
        record(trial, *values[trial.cell, trial.block])
        for trial in TRIALS
        if (trial.cell, trial.block) in values
    ]
    for own in records:
        ledger.save(own)
    view = stage_view(STUDY, "objectives", TRIALS, ledger)
    return {row.label: row for row in view.cells()}


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


def test_a_cell_shows_the_mean_and_spread_of_its_completed_blocks(ledger):
    values = {
        ("relative rotate", 1): ("completed", 70.0),
        ("relative rotate", 2): ("completed", 74.0, "other"),
        ("contrastive rotate", 1): ("running", 90.0),
    }
    found = rows(values, ledger)
    assert list(found) == ["relative rotate"]
    row = found["relative rotate"]
    assert row.metrics["median_mm"] == 72.0
    assert row.metrics["mpje_mm"] == 77.0
    assert (row.metrics["median_mm_min"], row.metrics["median_mm_max"]) == (70.0, 74.0)
    assert row.metrics["median_mm_sd"] == pytest.approx(8**0.5)
    assert row.tags["outcomes"] == "2 completed"
    assert row.tags["reused"] == "1"


def test_a_cell_that_was_stopped_everywhere_shows_no_mean(ledger):
    values = {("contrastive blur", 1): ("stopped", 90.0), ("contrastive blur", 2): ("failed", 80.0)}
    row = rows(values, ledger)["contrastive blur"]
    assert "median_mm" not in row.metrics
    assert row.tags["outcomes"] == "1 failed, 1 stopped"
    assert row.metrics["blocks_completed"] == 0


EVERYWHERE = {
    ("relative rotate", 1): ("completed", 70.0),
    ("relative rotate", 2): ("completed", 80.0),
    ("contrastive rotate", 1): ("completed", 71.0),
    ("contrastive rotate", 2): ("stopped", 99.0),
    ("contrastive blur", 1): ("stopped", 99.0),
    ("contrastive blur", 2): ("failed", 99.0),
}


def test_at_the_end_the_mean_is_adjusted_as_the_choice_is(ledger):
    found = rows(EVERYWHERE, ledger)
    assert found["contrastive rotate"].metrics["median_mm"] == pytest.approx(76.0)
    choice = choose(STUDY, STAGE, stage_scheduler(STUDY, "objectives", TRIALS, ledger), {}, ledger)
    assert choice.best.label == "relative rotate"  # by plain means it would be the other
    (trial,) = (t for t in TRIALS if (t.cell, t.block) == ("contrastive blur", 2))
    ledger.save(record(trial, "running", 99.0))  # retried: the stage is not over
    assert rows({}, ledger)["contrastive rotate"].metrics["median_mm"] == 71.0


def test_a_trial_that_failed_and_was_completed_later_changes_what_its_cell_shows(ledger):
    before = rows(EVERYWHERE, ledger)["contrastive blur"]
    after = rows({("contrastive blur", 2): ("completed", 60.0)}, ledger)["contrastive blur"]
    assert "median_mm" not in before.metrics
    assert after.metrics["median_mm"] != before.metrics.get("median_mm")
    assert after.tags["outcomes"] == "1 completed, 1 stopped"


def test_what_the_stage_has_stopped_is_stopped_though_another_study_has_trained_it_on(ledger):
    arm = next(t for t in TRIALS if (t.cell, t.block) == ("contrastive blur", 2))
    rival = next(t for t in TRIALS if (t.cell, t.block) == ("contrastive blur", 1))
    study = STUDY.merged({"halving": {"grace_epochs": 1, "reduction_factor": 2.0}})
    arms = [replace(one, exempt=False, block=1) for one in (arm, rival)]
    scheduler = stage_scheduler(study, "objectives", tuple(arms), ledger)
    for trial, mm in zip(arms, (90.0, 50.0), strict=True):
        entries = scheduler.entries(trial, 1, {"median_mm": mm})
        ledger.append(*entries)
        ledger.save(record(trial, "completed", mm))
    (row,) = stage_view(study, "objectives", arms, ledger).cells()
    assert row.tags["outcomes"] == "1 completed, 1 stopped"
    assert row.metrics["median_mm"] == 50.0


def test_references_that_stand_beside_the_cells_adjust_no_mean(ledger):
    study = STUDY.merged({"references": True})
    trials = plan_stage(study, STAGE, {}, lambda data: "data")
    for trial in trials:
        # In the references both blocks are alike: with them 71.0 would count for more than 76.0.
        own = EVERYWHERE.get((trial.cell, trial.block), ("completed", 90.0))
        ledger.save(record(trial, *own))
    found = {row.label: row for row in stage_view(study, "objectives", trials, ledger).cells()}
    assert found["random encoder"].metrics["median_mm"] == 90.0
    assert found["contrastive rotate"].metrics["median_mm"] == pytest.approx(76.0)


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
