"""Effects in the report: from every composition, or from a skeleton where trials were stopped."""

import math
from dataclasses import replace

import pytest

from handssl.report.effects import effect_gaps, study_effects
from handssl.report.effects.words import document, lines
from handssl.report.rows import Row
from handssl.stats.full_grid import full_effects
from handssl.stats.skeleton import skeleton, subsets
from tests.report.made_up import page_of

NAMES = ("blur", "cutout", "noise", "rotate", "sobel")
GAIN = {"blur": 1.0, "cutout": -0.5, "noise": 0.2, "rotate": -3.0, "sobel": 0.0}
PLANNED = {"blocks": "1,2", "stages.compositions.skeleton": "16"}


def value(composition, block):
    return (
        80
        + sum(GAIN.get(name, 0.0) for name in composition)
        + 0.3 * math.sin(7 * len(composition) + block)
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


def test_a_block_that_lacks_a_composition_counts_with_the_others():
    lacking = [one for one in grid(1, 2) if (one.label, one.block) != ("mixed rotate", 2)]
    found = study_effects(lacking, PLANNED)
    assert found.method == (
        "all compositions in 2 blocks but 1 missing trial, fitted by composition and block"
    )
    assert found.lacks
    for name, gain in GAIN.items():
        effect = found.effects[name]
        assert effect.mm == pytest.approx(gain, abs=0.2)
        assert effect.bounds[0] <= effect.mm <= effect.bounds[1]


@pytest.mark.parametrize("outcome", ["diverged", "failed", "cancelled"])
def test_a_skeleton_that_lacks_a_cell_is_fitted_to_the_others(outcome):
    rows = []
    for position, block in enumerate((1, 2)):
        whole = {tuple(sorted(c)) for c in skeleton(NAMES, 16, position)}
        rows += [row(c, block, completed=tuple(sorted(c)) in whole) for c in subsets(NAMES)]
    first = next(i for i, one in enumerate(rows) if one.finished and one.block == 2)
    rows[first] = replace(rows[first], outcome=outcome, epoch=1, curve=rows[first].curve[:1])
    found = study_effects(rows, PLANNED)
    assert found.method.endswith("2 blocks but 1 missing trial, fitted by main effects and block")
    for name, gain in GAIN.items():
        assert found.effects[name].mm == pytest.approx(gain, abs=0.4)
    (gap,) = effect_gaps(rows, PLANNED)
    assert (gap.block, gap.used, [why for _, why in gap.cells]) == (2, True, [outcome])


def test_a_block_with_fewer_than_half_of_its_values_is_left_out():
    few = [one for one in grid(1, 2) if one.block == 1 or one.composition.count("+") < 1]
    assert study_effects(few, PLANNED).method == "all compositions in 1 block"
    assert [(gap.block, gap.used) for gap in effect_gaps(few, PLANNED)] == [(2, False)]
    stopped = [row(c, 1, completed=len(c) < 2) for c in subsets(NAMES)]
    assert study_effects(stopped, PLANNED) is None
    assert study_effects(stopped, {}) is None
    assert study_effects([], PLANNED) is None


def test_pairs_that_a_skeleton_cannot_tell_apart_name_their_aliases_instead_of_a_number():
    chosen = {tuple(sorted(c)) for c in skeleton(NAMES, 8, 0)}
    rows = [row(c, 1, completed=tuple(sorted(c)) in chosen) for c in subsets(NAMES)]
    planned = PLANNED | {"blocks": "1", "stages.compositions.skeleton": "8"}
    found = study_effects(rows, planned)
    mixed = [one for one in found.pairs.values() if one.aliases]
    assert mixed
    shown = page_of(rows, planned=planned)
    for one in mixed:
        assert f'<td>{one.name}</td><td class="muted"' in shown
        assert f"confounded with {', '.join(one.aliases)}" in shown
        assert document(found)["pairs"][one.name]["mm"] is None


def test_a_whole_grid_says_how_much_main_effects_explain():
    found = study_effects(grid(1, 2), PLANNED)
    assert [one.effects for one in found.orders] == [5, 10, 10, 5, 1]
    assert found.orders[0].share > 0.9
    assert "Main effects are means over all compositions of the other transformations" in page_of(
        grid(1, 2), planned=PLANNED
    )
    assert len(found.contrasts) == 31


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


def test_both_readings_stand_on_page_terminal_and_in_json():
    whole = {tuple(sorted(c)) for c in skeleton(NAMES, 16, 0)}
    stopped = [row(c, 1, completed=tuple(sorted(c)) in whole) for c in subsets(NAMES)]
    for rows, words in ((grid(1, 2), "exact"), (grid(1), "one seed"), (stopped, "one seed")):
        found = study_effects(rows, PLANNED)
        shown = page_of(rows, planned=PLANNED)
        assert "95 % interval, these seeds" in shown
        assert "95 % interval, seeds in general" in shown
        (line,) = [one for one in lines(found) if one.startswith("  rotate: ")]
        assert "these seeds" in line
        assert "seeds in general" in line
        assert words in line
        values = document(found)["main"]["rotate"]
        assert values["these_seeds"][0] <= values["mm"] <= values["these_seeds"][1]
        assert (values["seeds_in_general"] is None) == (found.blocks == 1)


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


@pytest.mark.timeout(20)  # subsets of 30 names don't fit into any memory
def test_a_stage_of_thirty_single_transformations_has_no_effects_and_says_so_at_once():
    rows = [row((f"own_{n}",), 1) for n in range(30)]
    rows = [replace(one, stage="cells", stage_kind="cells") for one in rows]
    assert study_effects(rows, {"blocks": "1"}) is None
