"""A study's report from the ledger: other studies may have run its trials, its plan may differ."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import get_args

import pytest

import handssl.report
from handssl.cli.views.summary import summarise_storage
from handssl.data.splits import StudyData
from handssl.ledger import Ledger
from handssl.ledger.record import Outcome, TrialRecord
from handssl.planning.preregistration import keep
from handssl.report.headline import headline
from handssl.report.of_study import study_report
from handssl.report.sections import sections
from handssl.study.extension import extended
from handssl.study.study import Study
from handssl.study.trials import plan_stage, stage_scheduler

GAIN = {"blur": 1.0, "color_jitter": -1.0, "rotate": -8.0}
STAGES = [
    {"kind": "objectives", "transformations": [*GAIN]},
    {"kind": "compositions", "skeleton": 4},
]


def study(name="mine", **changes):
    values = {
        "name": name,
        "stages": STAGES,
        "pretrain": {"epochs": 3, "optimizer": {"warmup_epochs": 1}},
        "blocks": [1, 2],
        "halving": None,
    }
    return Study.parse(values | changes)


def cells(name, **changes):
    listed = [{"composition": one} for one in ("blur", "cutout", "noise")]
    values = {"stages": [], "cells": listed, "references": False, "blocks": [1]}
    return study(name, **values | changes)


@pytest.fixture
def data(blob_data, monkeypatch):
    monkeypatch.setattr("handssl.execution.status.prepared", lambda *_, **__: blob_data)
    return StudyData(blob_data).fingerprint


def median_mm(trial):
    """Relative is better for rotate, contrastive for all others."""
    worse = 2.0 if (trial.objective == "relative") != (trial.composition == "rotate") else 0.0
    gain = sum(GAIN.get(name, 0.0) for name in trial.composition.split("+"))
    return 80.0 + gain + worse + trial.block / 10


def run(planned, storage, data, ends=lambda trial: "completed"):
    """Record what a run of the study would, without training."""
    ledger = Ledger(storage)
    planned = extended(planned, ledger.asked(planned.name))
    keep(planned, storage, ledger, lambda event: None)
    selections = {}
    for stage in planned.all_stages:
        trials = plan_stage(planned, stage, selections, lambda _: data)
        for trial in trials:
            if ledger.load(trial.trial_id) is None:
                _record(trial, planned.name, stage.name, ledger, ends(trial))
        scheduler = stage_scheduler(planned, stage.name, trials, ledger)
        scheduler.cancel(trial for trial in trials if ends(trial) == "cancelled")
        found = study_report(planned.name, storage, "sqlite://")
        selections = {one.stage: one for one in found.selections}
    return found


def _record(trial, name, stage, ledger, outcome):
    record = TrialRecord(
        **{key: getattr(trial, key) for key in ("trial_id", "cell", "composition", "objective")},
        **{"study": name, "stage": stage, "block": trial.block, "outcome": outcome},
        epochs=trial.epochs,
        config=trial.config.model_dump(mode="json"),
    )
    last, whole = median_mm(trial), outcome == "completed"
    for epoch in range(1, trial.epochs + whole) if trial.epochs else (0,):
        values = {"median_mm": last + trial.epochs - epoch}
        record = ledger.report(record.model_copy(update={"epoch": epoch}), values)
    ledger.save(record)


def test_a_study_whose_trials_another_has_run_is_reported_as_its_own(tmp_path, data):
    first = run(cells("a"), tmp_path, data)
    second = run(cells("b"), tmp_path, data)
    assert Ledger(tmp_path).all("b") == ()
    assert second.rows == first.rows
    assert len(second.records) == 3
    summary = summarise_storage(tmp_path, "b")
    assert summary.document["headline"].startswith(
        "Lowest self-supervised error: contrastive cutout"
    )
    assert len(summary.document["trials"]) == 3


def test_a_study_that_shares_some_of_its_trials_lacks_none_of_them(tmp_path, data):
    run(cells("a", cells=[{"composition": "blur"}]), tmp_path, data)
    found = run(cells("b"), tmp_path, data)
    assert len(found.rows) == 3
    assert {record.study for record in found.records} == {"a", "b"}


def test_the_report_says_what_each_stage_chose_and_counts_shared_trials_in_both(tmp_path, data):
    found = run(study(), tmp_path, data)
    objectives, compositions = sections(found.rows)
    assert (objectives.stage, compositions.stage) == ("objectives", "compositions")
    assert "rotate: relative (" in found.choices[1]
    assert "color_jitter: contrastive (" in found.choices[0]
    assert found.choices[-1].startswith("compositions, best: mixed color_jitter+rotate (rotate): ")
    shared = {row.label for row in objectives.rows} & {row.label for row in compositions.rows}
    assert {"relative rotate", "contrastive blur"} < shared
    titles = {cell.title for cell in compositions.ranking.trials}
    assert "color_jitter+rotate (relative: rotate)" in titles
    assert found.effects.method == "all compositions in 2 blocks"


def test_choices_are_on_the_terminal_the_page_in_markdown_and_json(tmp_path, data):
    run(study(), tmp_path, data)
    summary = summarise_storage(tmp_path, None)
    chosen = "rotate: relative ("
    assert any(chosen in line for line in summary.lines)
    assert chosen in summary.markdown
    assert chosen in (tmp_path / "mine.html").read_text()
    document = json.loads(json.dumps(summary.document))
    assert [one["stage"] for one in document["selections"]] == ["objectives", "compositions"]
    assert document["selections"][0]["objective_of"]["rotate"] == "relative"
    ranked = document["sections"][1]["ranked"]
    assert ranked[0]["cell"] == document["selections"][1]["best"]["objective"] + (
        " color_jitter+rotate (rotate)"
    )


def test_added_seeds_are_blocks_of_the_effects(tmp_path, data):
    run(study(), tmp_path, data)
    Ledger(tmp_path).ask("mine", "extend", blocks=[3, 4])
    halving = {"grace_epochs": 1, "reduction_factor": 2.0}
    found = run(study(halving=halving), tmp_path, data)
    assert found.planned["blocks"] == "1,2,3,4"
    assert "in 4 blocks" in found.effects.method


def test_longer_trials_are_never_ranked_with_those_they_replace(tmp_path, data):
    run(cells("a"), tmp_path, data)
    Ledger(tmp_path).ask("a", "extend", epochs=4)
    found = run(cells("a"), tmp_path, data)
    assert [section.title for section in sections(found.rows)] == [
        "Stage objectives, 4 epochs",
        "Stage objectives, 3 epochs, under an earlier plan",
    ]
    assert [section.main for section in sections(found.rows)] == [True, False]


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_outcome_of_a_trial_can_be_reported(tmp_path, data, outcome):
    rules = {"grace_epochs": 1, "reduction_factor": 1.5} if outcome == "stopped" else None
    planned = cells("a", halving=rules)
    run(planned, tmp_path, data, lambda t: outcome if t.composition == "blur" else "completed")
    summary = summarise_storage(tmp_path, "a")
    (section,) = json.loads(json.dumps(summary.document))["sections"]
    outcomes = {one["cell"]: one["outcome"] for one in section["ranked"] + section["ended_early"]}
    assert set(outcomes) == {"contrastive blur", "contrastive cutout", "contrastive noise"}
    assert outcomes["contrastive blur"] == outcome
    assert f"| {outcome} |" in summary.markdown
    assert f"<td>{outcome}</td>" in (tmp_path / "a.html").read_text()


def test_a_trial_that_this_study_stopped_is_stopped_though_another_ran_it_to_the_end(
    tmp_path, data
):
    run(cells("a"), tmp_path, data)
    halved = cells("b", halving={"grace_epochs": 1, "reduction_factor": 3.0})
    found = run(halved, tmp_path, data)
    outcomes = sorted(row.outcome for row in found.rows)
    assert outcomes == ["completed", "stopped", "stopped"]
    best = found.selections[0].best
    assert headline(found.rows).startswith(f"Lowest self-supervised error: {best.label},")


def test_the_function_and_the_command_write_the_same_page(tmp_path, data, monkeypatch):
    run(study(), tmp_path, data)
    monkeypatch.setattr("handssl.report.study_report.study_facts", lambda *_: {})
    uri = summarise_storage(tmp_path, None).document["tracking_uri"]
    page = (tmp_path / "mine.html").read_text()
    result = SimpleNamespace(study=study(), storage=tmp_path, tracking_uri=uri, records=())
    assert handssl.write_report(result).read_text() == page
    assert "Effects of the transformations" in page
    assert "<dt>plan</dt>" in page


def test_without_its_data_a_study_is_reported_from_what_it_ran_itself(tmp_path, data, monkeypatch):
    known = run(cells("a"), tmp_path, data)

    def gone(*_, **__):
        raise handssl.errors.InputError("no store")

    monkeypatch.setattr("handssl.execution.status.prepared", gone)
    found = study_report("a", tmp_path, "sqlite://")
    assert {row.label for row in found.rows} == {row.label for row in known.rows}
    assert headline(found.rows) == headline(known.rows)
    assert found.choices == ()


def test_a_report_opens_the_data_once_and_reads_no_metric_that_it_does_not_show(
    tmp_path, data, monkeypatch
):
    run(study(), tmp_path, data)
    opened, asked, histories = [], [], Ledger.histories

    def counted(folder):
        opened.append(folder)
        return StudyData(folder)

    def watched(ledger, names, metrics=None):
        asked.append(metrics)
        return histories(ledger, names, metrics)

    monkeypatch.setattr("handssl.execution.status.StudyData", counted)
    monkeypatch.setattr(Ledger, "histories", watched)
    found = study_report("mine", tmp_path, "sqlite://")
    assert len(found.rows) > 12
    assert len(opened) == 1
    assert asked
    assert None not in asked
