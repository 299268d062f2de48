"""What a report lacks is said on the terminal, on the page, in Markdown and in JSON."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest

import handssl.errors
from handssl.cli.app import invoke
from handssl.cli.views.summary import summarise_storage
from handssl.data.splits import StudyData
from handssl.ledger import Ledger
from handssl.ledger.references import MEAN_POSE, RANDOM_ENCODER, UNTRAINED
from handssl.report import effects
from handssl.report.effects import study_effects
from handssl.report.missing import missing
from handssl.stats.skeleton import subsets
from tests.report.made_up import page_of
from tests.report.test_effects_of_rows import NAMES, PLANNED, grid, row
from tests.report.test_of_study import cells, run, study


@pytest.fixture
def data(blob_data, monkeypatch):
    monkeypatch.setattr("handssl.execution.status.prepared", lambda *_, **__: blob_data)
    return StudyData(blob_data).fingerprint


def told(storage, capsys, name="mine"):
    """Return what `handssl report` prints, writes and gives to scripts."""
    assert invoke(["report", str(storage), "--study", name]) == 0
    terminal = " ".join(capsys.readouterr().out.split())
    assert invoke(["report", str(storage), "--study", name, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    summary = summarise_storage(storage, name)
    return terminal, document, summary.markdown, (storage / f"{name}.html").read_text()


def in_compositions(trial):
    return "+" in trial.composition and trial.stage == "compositions"


@pytest.mark.parametrize("outcome", ["failed", "diverged", "cancelled"])
def test_a_cell_without_a_result_is_counted_and_named_and_effects_do_without_it(
    tmp_path,
    data,
    capsys,
    outcome,
):
    def ends(trial):
        hit = in_compositions(trial) and trial.composition == "blur+rotate" and trial.block == 2
        return outcome if hit else "completed"

    run(study(), tmp_path, data, ends)
    terminal, document, markdown, html = told(tmp_path, capsys)
    label = "mixed blur+rotate (rotate)"
    for text in (terminal, markdown, html):
        assert f"compositions, {outcome}: {label} (block 2)" in text
        assert f"Effects are fitted without: block 2: {label} {outcome}; see their bounds." in text
    assert document["missing"]["cells"] == [
        {"stage": "compositions", "cell": label, "block": 2, "why": outcome}
    ]
    assert "in 2 blocks but 1 missing trial" in document["effects"]["method"]
    assert all(one["bounds"] for one in document["effects"]["main"].values())
    (count,) = document["missing"]["counts"]
    assert (count["stage"], count[outcome], count["stopped"]) == ("compositions", 1, 0)
    assert f"compositions: of {count['trials']} trials 1 {outcome}" in terminal
    assert "<th scope=col>stage</th>" in html
    words = "run mine" if outcome == "failed" else "extend mine --seeds N"
    assert f"handssl study {words} --storage {tmp_path}" in terminal


def test_effects_do_without_a_composition_that_no_block_has(tmp_path, data, capsys):
    def ends(trial):
        hit = in_compositions(trial) and trial.composition == "blur+rotate"
        return "diverged" if hit else "completed"

    run(study(), tmp_path, data, ends)
    terminal, document, markdown, html = told(tmp_path, capsys)
    assert "main effects" in document["effects"]["method"]
    for text in (terminal, markdown, html, *document["missing"]["notes"][:1]):
        assert "Effects are fitted without: block 1: " in text
        assert "block 2: mixed blur+rotate (rotate) diverged" in text


def test_effects_without_enough_values_are_absent_with_the_reason(tmp_path):
    gaps = effects.effect_gaps([row(c, 1, completed=len(c) < 2) for c in subsets(NAMES)], PLANNED)
    found = missing([], (), effects=None, gaps=gaps, unread="", study="x", storage=tmp_path)
    words = "No effects are estimated, too many last values are missing: block 1: "
    assert found.notes[0].startswith(words)


def test_a_study_that_is_not_over_says_what_it_has_not_chosen(tmp_path, data, capsys):
    with contextlib.suppress(KeyError):  # nobody can plan the second stage
        run(study(), tmp_path, data, lambda one: "running" if one.block == 2 else "completed")
    terminal, document, _, _ = told(tmp_path, capsys)
    assert "Stage objectives has chosen nothing yet" in terminal
    assert "Stage compositions is not shown: it waits for the choice of objectives" in terminal
    assert {cell["why"] for cell in document["missing"]["cells"]} == {"not finished"}


def test_objectives_without_a_block_in_common_are_not_compared(tmp_path, data, capsys):
    pairs = [
        {"composition": name, "objective": objective}
        for name in ("rotate", "color_jitter")
        for objective in ("contrastive", "relative")
    ]

    def ends(trial):
        lost = {("contrastive", 1), ("relative", 2)}
        hit = trial.composition == "rotate" and (trial.objective, trial.block) in lost
        return "failed" if hit else "completed"

    run(cells("a", cells=pairs, blocks=[1, 2]), tmp_path, data, ends)
    terminal, _, _, _ = told(tmp_path, capsys, "a")
    assert "Objectives are not compared for rotate: no block has a result of each." in terminal
    assert "The order is not checked: the study has no results of references." in terminal


def test_a_plan_that_cannot_be_read_is_reported(tmp_path, data, capsys, monkeypatch):
    run(cells("a"), tmp_path, data)

    def gone(*_, **__):
        raise handssl.errors.InputError("no store of freihand")

    monkeypatch.setattr("handssl.execution.status.prepared", gone)
    terminal, document, _, html = told(tmp_path, capsys, "a")
    for text in (terminal, html, document["missing"]["notes"][0]):
        assert "as far as this study ran them itself: no store of freihand" in text


def test_a_study_that_lacks_nothing_says_nothing(tmp_path, data, capsys):
    run(study(), tmp_path, data)
    terminal, document, markdown, html = told(tmp_path, capsys)
    assert document["missing"] == {"cells": [], "counts": [], "notes": []}
    assert " Missing " not in terminal
    assert "## Missing" not in markdown
    assert "What is missing" not in html
    assert Ledger(tmp_path).all("mine")


def test_a_block_whose_skeleton_was_not_run_whole_is_a_gap():
    stopped = [row(c, 1, completed=len(c) < 2) for c in subsets(NAMES)]
    assert study_effects(stopped, PLANNED) is None
    first, second = effects.effect_gaps(stopped, PLANNED)
    assert (first.block, {why for _, why in first.cells}) == (1, {"stopped"})
    assert (second.block, {why for _, why in second.cells}) == (2, {"not begun"})
    assert effects.effect_gaps(grid(1, 2), PLANNED) == ()
    assert effects.effect_gaps([], PLANNED) == ()
    alone = [replace(row((name,), 1), stage_kind="cells") for name in ("blur", "cutout")]
    assert effects.effect_gaps(alone, {}) == ()


def test_effects_of_one_block_say_that_they_have_no_interval():
    assert "One block gives no interval for seeds in general" in page_of(
        grid(1), planned={"blocks": "1"}
    )


def test_results_without_the_newer_references_are_reported_with_the_command_that_adds_them(
    tmp_path, data, capsys, monkeypatch
):
    with monkeypatch.context() as earlier:
        earlier.setattr("handssl.study.trials.UNTRAINED", (MEAN_POSE, RANDOM_ENCODER))
        before = run(study(), tmp_path, data)
    terminal, document, markdown, html = told(tmp_path, capsys)
    assert [one["stage"] for one in document["selections"]] == ["objectives", "compositions"]
    assert document["selections"] == [one.model_dump(mode="json") for one in before.selections]
    newer = {one.label for one in UNTRAINED} - {"mean pose", "random encoder"}
    assert {(one["cell"], one["why"]) for one in document["missing"]["cells"]} == {
        (label, "not begun") for label in newer
    }
    assert document["comparisons"] == []
    for text in (terminal, markdown, html):
        assert f"study run mine --storage {tmp_path}` trains failed and unfinished trials" in text
        assert "HOG features" not in text


def test_of_trials_without_a_plan_the_references_that_lack_are_named_too(tmp_path):
    rows = [replace(one, label="mean pose", kind="reference") for one in grid(1)[:1]]
    found = missing(rows, (), effects=None, gaps=(), unread="", study="x", storage=tmp_path)
    assert "Not measured: true-angle oracle, RGB ridge 16x16, HOG ridge, random encoder; " in (
        " ".join(found.lines())
    )
    assert f"study run x --storage {tmp_path}` computes them." in " ".join(found.lines())
