"""Confirmation: the winner named before, on seeds that have selected nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handssl.errors import InputError
from handssl.report.headline import summary
from handssl.report.rows import Row
from handssl.report.sections import sections
from handssl.study.stages import ConfirmationStage, Finding, Selection
from handssl.study.study import Cell, Study
from handssl.study.trials import plan_stage

NAMES = ("blur", "cutout", "noise", "sobel")
FRESH = (11, 12, 13)


def cell(name: str) -> Cell:
    return Cell.parse({"objective": "contrastive", "composition": name})


def findings(errors: dict[str, list[float]], blocks=FRESH, noise_mm: float = 0.0) -> list[Finding]:
    return [
        Finding(cell(name), block, "completed" if np.isfinite(mm) else "diverged", 20, mm, noise_mm)
        for name, own in errors.items()
        for block, mm in zip(blocks, own, strict=True)
    ]


def study(**stage: object) -> Study:
    return Study.parse(
        {
            "name": "x",
            "blocks": [1, 2, 3],
            "stages": [
                {"kind": "cells", "name": "first", "all": [{"composition": n} for n in NAMES]},
                {"kind": "confirmation", "after": "first", **stage},
            ],
        }
    )


def chosen(errors: dict[str, list[float]]) -> Selection:
    return study().all_stages[0].select(findings(errors, (1, 2, 3)))


def confirmed(errors: dict[str, list[float]], noise_mm: float = 0.0) -> str:
    """Confirm blur, with these errors on the fresh seeds."""
    before = {"first": Selection(stage="first", best=cell("blur"), contenders=map(cell, errors))}
    stage = ConfirmationStage(after="first", seeds=FRESH)
    found = stage.decide(findings(errors, noise_mm=noise_mm), before)
    assert found.best is not None
    assert found.best.composition == ("blur",)  # the winner was named before
    return found.reasons[0]


@pytest.mark.parametrize(
    ("sobel", "named"),
    [
        ([52.0, 51.0, 54.0], ["blur", "sobel"]),  # cannot be told from blur
        ([70.0, 71.1, 72.0], ["blur", "noise"]),  # the next one, though all are told from it
    ],
)
def test_the_winner_and_what_cannot_be_told_from_it_are_confirmed(sobel, named):
    noise = [60.0, 61.1, 62.0]
    before = {"first": chosen({"noise": noise, "blur": [50.0, 51.0, 52.1], "sobel": sobel})}
    cells = ConfirmationStage(after="first").cells(before)
    assert [one.label for one in cells] == [f"contrastive {name}" for name in named]
    assert all(one.exempt for one in cells)


def test_no_more_cells_are_confirmed_than_asked_for():
    errors = {name: [50.0 + i / 9, 51.0 - i / 9, 52.0] for i, name in enumerate(NAMES)}
    cells = ConfirmationStage(after="first", most=3).cells({"first": chosen(errors)})
    assert len(cells) == 3


@pytest.mark.parametrize(
    ("other", "outcome"),
    [
        ([60.0, 60.5, 61.5], "confirmed: better than its only runner-up contrastive noise, "),
        ([40.0, 40.5, 41.5], "not confirmed: contrastive noise is better"),
        ([50.1, 51.5, 51.3], "undecided against contrastive noise: difference +0.0 mm"),
    ],
)
def test_it_says_whether_the_winner_is_the_best_with_an_interval(other, outcome):
    reason = confirmed({"blur": [50.0, 51.0, 52.0], "noise": other})
    # t(0.975, 2) = 4.303 standard errors of 1 / sqrt(3).
    assert reason.startswith("contrastive blur: 51.0 mm (95 % interval 48.5 to 53.5) with 3 fresh")
    assert outcome in reason
    assert "interval" in reason.split(";")[1]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (1, "better than its only runner-up contrastive noise, difference -4.0 mm"),
        (2, "better than both runners-up, the closest is contrastive noise, difference -4.0 mm"),
        (3, "better than all 3 runners-up, the closest is contrastive noise, difference -4.0 mm"),
    ],
)
def test_a_confirmation_counts_the_runners_up_in_words(others, words):
    rest = {name: [54.0 + i, 55.0 + i, 56.1 + i] for i, name in enumerate(("noise", "sobel"))}
    rest |= {"cutout": [70.0, 71.0, 72.1]}
    errors = {"blur": [50.0, 51.0, 52.0], **dict([*rest.items()][:others])}
    assert f"confirmed: {words}" in confirmed(errors)


def test_a_difference_that_rounding_alone_makes_confirms_nothing():
    """Three seeds of repeats that move by 3 mm: 1.96 sqrt((9 + 9) / 3) = 4.8 mm."""
    errors = {"blur": [50.0, 51.0, 52.0], "noise": [54.0, 55.0, 56.1]}
    assert "; confirmed: " in confirmed(errors)
    reason = confirmed(errors, noise_mm=3.0)
    assert "; undecided against contrastive noise: difference -4.0 mm" in reason
    assert reason.endswith("within the noise of rounding (4.8 mm)")


def test_a_winner_that_diverges_is_not_given_the_mean_of_what_is_left():
    reason = confirmed({"blur": [50.0, np.inf, 52.0], "noise": [60.0, 61.0, 62.0]})
    assert "completed with 2 of 3 fresh seeds; undecided" in reason


@pytest.mark.parametrize("seeds", [[1, 12, 13], [11, 11, 12], [11, 12]])
def test_seeds_that_selected_repeat_or_are_too_few_are_refused(seeds):
    with pytest.raises(InputError, match=r"stages\.1\S*\.seeds"):
        study(seeds=seeds)


def test_its_plan_has_the_references_of_its_seeds_and_the_winner_with_two_cells_on_three_seeds():
    one = study(seeds=FRESH)
    before = {
        "first": chosen({"blur": [50, 51, 52.1], "noise": [60, 61, 62], "sobel": [70, 71, 72]})
    }
    trials = plan_stage(one, one.all_stages[1], before, lambda data: "data")
    assert {trial.block for trial in trials} == set(FRESH)
    per_block = [trial.cell for trial in trials if trial.block == 12]
    assert per_block[:3] == ["supervised", "contrastive blur", "contrastive noise"]
    assert "random encoder" in per_block
    assert not any(trial.cell == "mean pose" for trial in trials)  # it has no seed
    assert all(trial.exempt for trial in trials)


def test_references_on_fresh_seeds_stand_beside_the_cells_of_these_seeds_alone():
    def row(label, block, stage):
        kind = "reference" if label == "random encoder" else "trial"
        objective = "reference" if kind == "reference" else "contrastive"
        made = Row(label, "blur", objective, block, "completed", 20 * (kind == "trial"), 20, 50.0)
        return replace(made, stage=stage, stage_kind=stage)

    rows = [
        row(label, block, stage)
        for stage, blocks in {"compositions": (1, 2), "confirmation": FRESH}.items()
        for block in blocks
        for label in ("random encoder", "contrastive blur")
    ]
    found = {one.stage: {r.block for r in one.rows} for one in sections(rows)}
    assert found == {"compositions": {1, 2}, "confirmation": set(FRESH)}


def test_a_report_opens_with_the_error_of_the_winner_on_fresh_seeds():
    def row(name, block, stage, mm):
        made = Row(f"contrastive {name}", name, "contrastive", block, "completed", 20, 20, mm)
        return replace(made, stage=stage, stage_kind=stage)

    rows = [
        *(row(name, b, "compositions", 50.0 + b / 9) for name in ("blur", "noise") for b in (1, 2)),
        *(row("blur", b, "confirmation", 53.0 + b / 9) for b in FRESH),
        *(row("noise", b, "confirmation", 52.0) for b in FRESH),
    ]
    first = summary(rows)[0]
    assert first.startswith("Error of the winner to report: contrastive blur: 54.3 mm (95 %")
    assert "not confirmed: contrastive noise is better" in first
    assert "Error of the winner" not in " ".join(summary(rows[:4]))


def test_the_error_on_fresh_seeds_has_no_bias_where_that_of_the_selection_has_one():
    """The best of 12 equal cells has a mean that is too low by 1.63 standard errors."""
    rng = np.random.default_rng(3)
    names = [f"{a}+{b}" for a in NAMES for b in ("rotate", "scale", "translate")]
    bias = np.array([_one_study(rng, names) for _ in range(60)]).mean(axis=0)
    error = 1.0 / np.sqrt(3 * 60)
    assert bias[0] < -10 * error
    assert abs(bias[1]) < 3 * error


def _one_study(rng: np.random.Generator, names: list[str]) -> tuple[float, float]:
    def measured(own: list[str]) -> dict[str, list[float]]:
        return {name: list(50.0 + rng.normal(size=3)) for name in own}

    first = measured(names)
    before = chosen(first)
    stage = ConfirmationStage(after="first", seeds=FRESH)
    cells = ["+".join(one.composition) for one in stage.cells({"first": before})]
    found = stage.decide(findings(measured(cells)), {"first": before})
    assert found.best == before.best.merged({"exempt": True})
    reported = float(found.reasons[0].partition(": ")[2].partition(" mm")[0])
    return min(map(np.mean, first.values())) - 50.0, reported - 50.0
