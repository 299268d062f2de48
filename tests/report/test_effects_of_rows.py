"""Effects in the report: from every composition, or from a skeleton where trials were stopped."""

import math

import pytest

from handssl.report.effects import study_effects
from handssl.report.rows import Row
from handssl.stats.contrasts import full_effects
from handssl.stats.skeleton import skeleton, subsets
from tests.report.made_up import page_of

NAMES = ("blur", "cutout", "noise", "rotate", "sobel")
GAIN = {"blur": 1.0, "cutout": -0.5, "noise": 0.2, "rotate": -3.0, "sobel": 0.0}
PLANNED = {"blocks": "1,2", "stages.compositions.skeleton": "16"}


def value(composition, block):
    return (
        80 + sum(GAIN[name] for name in composition) + 0.3 * math.sin(7 * len(composition) + block)
    )


def row(composition, block, *, completed=True, label=None, objective="mixed"):
    end = value(composition, block)
    curve = ((1, end + 5), (2, end)) if completed else ((1, end + 5),)
    return Row(
        label or f"{objective} {'+'.join(composition) or 'none'}",
        "+".join(composition) or "none",
        objective,
        block,
        "completed" if completed else "stopped",
        curve[-1][0],
        2,
        median_mm=curve[-1][1],
        curve=curve,
        stage="compositions",
        stage_kind="compositions",
    )


def grid(*blocks):
    return [row(c, block) for block in blocks for c in subsets(NAMES)]


def test_a_grid_run_whole_gives_plain_contrasts_that_help_most_first():
    found = study_effects(grid(1, 2), PLANNED)
    plain = full_effects([{c: value(c, block) for c in subsets(NAMES)} for block in (1, 2)])
    assert {n: e.mm for n, e in found.effects.items()} == pytest.approx(
        {n: e.mm for n, e in plain.items()}
    )
    assert next(iter(found.effects)) == "rotate"
    assert found.method == "all compositions in 2 blocks"


def test_stopped_trials_are_made_up_for_by_the_skeleton_of_their_block():
    rows = []
    for position, block in enumerate((1, 2)):
        whole = {tuple(sorted(c)) for c in skeleton(NAMES, 16, position)}
        rows += [row(c, block, completed=tuple(sorted(c)) in whole) for c in subsets(NAMES)]
    found = study_effects(rows, PLANNED)
    assert found.method == "difference estimator, skeleton of 16 in 2 blocks"
    for name, gain in GAIN.items():
        assert found.effects[name].mm == pytest.approx(gain, abs=0.4)
        assert math.isfinite(found.effects[name].low)


def test_a_block_that_lacks_a_composition_or_a_skeleton_does_not_count():
    lacking = [one for one in grid(1, 2) if (one.label, one.block) != ("mixed rotate", 2)]
    assert study_effects(lacking, PLANNED).method == "all compositions in 1 block"
    stopped = [row(c, 1, completed=len(c) < 2) for c in subsets(NAMES)]
    assert study_effects(stopped, PLANNED) is None
    assert study_effects(stopped, {}) is None
    assert study_effects([], PLANNED) is None


def test_of_two_objectives_of_a_transformation_the_better_one_stands_for_it():
    rows = grid(1)
    worse = row(("rotate",), 1, objective="contrastive")
    curve = tuple((epoch, mm + 50) for epoch, mm in worse.curve)
    rows.append(Row(**{**vars(worse), "curve": curve, "median_mm": curve[-1][1]}))
    assert study_effects(rows, PLANNED).effects == study_effects(grid(1), PLANNED).effects


def test_the_page_shows_them():
    found = study_effects(grid(1, 2), PLANNED)
    shown = page_of(grid(1, 2), planned=PLANNED)
    assert "Effects of the transformations" in shown
    assert f"{found.effects['rotate'].mm:+.2f}" in shown
    assert "Effects of the transformations" not in page_of()


def test_an_interval_says_whether_it_is_for_these_seeds_or_for_seeds_in_general():
    assert study_effects(grid(1, 2), PLANNED).holds_for == "seeds in general"
    assert study_effects(grid(1), PLANNED).holds_for == ""
    whole = {tuple(sorted(c)) for c in skeleton(NAMES, 16, 0)}
    rows = [row(c, 1, completed=tuple(sorted(c)) in whole) for c in subsets(NAMES)]
    found = study_effects(rows, PLANNED)
    assert found.holds_for == "these seeds"
    assert "95 % interval for these seeds" in page_of(rows, planned=PLANNED)


def test_cells_trained_with_any_self_supervised_objective_count():
    rows = [row(c, block, objective="equivariant") for block in (1, 2) for c in subsets(NAMES)]
    assert study_effects(rows, PLANNED).effects == study_effects(grid(1, 2), PLANNED).effects


def test_the_skeleton_of_another_stage_whose_name_ends_alike_does_not_count():
    rows = []
    for position, block in enumerate((1, 2)):
        whole = {tuple(sorted(c)) for c in skeleton(NAMES, 16, position)}
        rows += [row(c, block, completed=tuple(sorted(c)) in whole) for c in subsets(NAMES)]
    planned = {"stages.my-compositions.skeleton": "8", **PLANNED}
    assert study_effects(rows, planned) == study_effects(rows, PLANNED)
