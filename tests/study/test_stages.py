"""Stages: their cells, what they choose, and how the next follows from it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import yaml

from handssl.errors import InputError
from handssl.stats.decision import Decision
from handssl.study.stages import (
    CompositionsStage,
    CrossDatasetStage,
    Finding,
    HyperparametersStage,
    ObjectivesStage,
    Selection,
    SupervisedStage,
    best_cell,
)
from handssl.study.stages.base import arms_of
from handssl.study.stages.findings import contenders
from handssl.study.stages.validation import placeholder_selection
from handssl.study.study import Cell, Study
from handssl.transforms import TRANSFORMATIONS

SEVEN = ("blur", "color_jitter", "cutout", "noise", "rotate", "sobel", "translate")


def finding(label, block, median_mm, outcome="completed", epoch=20):
    objective, composition = label.split()
    cell = Cell.parse({"objective": objective, "composition": composition})
    return Finding(cell, block, outcome, epoch, median_mm)


def arms(*values):
    """Return findings of contrastive and relative rotate, one pair a block."""
    names = ("contrastive rotate", "relative rotate")
    return [
        finding(name, block, value, "completed" if math.isfinite(value) else "diverged")
        for block, pair in enumerate(values, start=1)
        for name, value in zip(names, pair, strict=True)
    ]


def test_objectives_has_the_ten_cells_of_the_paper_with_rivals_exempt():
    cells = ObjectivesStage().cells({})
    assert [cell.label for cell in cells] == [
        *(f"contrastive {name}" for name in SEVEN),
        *(f"relative {name}" for name in ("color_jitter", "rotate", "translate")),
    ]
    rivals = {cell.composition[0] for cell in cells if cell.exempt}
    assert rivals == {"color_jitter", "rotate", "translate"}


@pytest.mark.parametrize(
    ("values", "word", "reason"),
    [
        (
            [(70.0, 60.0), (71.0, 62.0)],
            "relative",
            "relative -9.5 mm, -15.9 to -3.1, Holm p .033, 2 seeds",
        ),
        ([(60.0, 70.0)], "undecided", "relative +10.0 mm, one seed"),
        ([(60.0, 60.0)], "undecided", "relative +0.0 mm, one seed"),
        (
            [(60.0, 50.0), (60.0, 80.0)],
            "undecided",
            "relative +5.0 mm, -185.6 to +195.6, Holm p .80, 2 seeds; about 144 seeds would settle "
            "it",
        ),
        ([(60.0, 60.1), (61.0, 60.9), (62.0, 62.0)], "equivalent", None),
        ([(math.nan, 50.0), (60.0, 80.0)], "undecided", "diverged in 1 of 2 seeds"),
    ],
)
def test_each_transformation_is_decided_equivalent_or_undecided(values, word, reason):
    selection = ObjectivesStage(transformations=("rotate",)).select(arms(*values))
    assert selection.objective_of == ({"rotate": word} if word == "relative" else {})
    assert selection.undecided == (() if word == "relative" else ("rotate",))
    assert selection.decisions["rotate"].word == word
    if reason:
        assert selection.reasons[0] == f"rotate: {word} ({reason})"


def test_the_margin_is_an_option_of_the_stage_and_without_one_nothing_is_equivalent():
    found = arms((60.0, 60.1), (61.0, 60.9), (62.0, 62.0))
    words = [
        ObjectivesStage(transformations=("rotate",), margin_mm=mm)
        .select(found)
        .decisions["rotate"]
        .word
        for mm in (0.0, 0.05, 1.0)
    ]
    assert words == ["undecided", "undecided", "equivalent"]
    with pytest.raises(InputError, match="margin_mm"):
        ObjectivesStage.parse({"margin_mm": -1})


def test_a_block_that_lacks_an_arm_is_left_out_of_the_comparison():
    stage = ObjectivesStage(transformations=("rotate",))
    found = [*arms((60.0, 70.0)), finding("relative rotate", 2, 1.0)]
    assert stage.select(found).objective_of == {}
    assert stage.select(found).reasons[0] == "rotate: undecided (relative +10.0 mm, one seed)"
    assert stage.select(found[1:]).reasons[0] == "rotate: undecided (no seed has both arms)"


def test_a_row_without_the_cue_stands_beside_relative_rotate_and_scale():
    stage = ObjectivesStage(transformations=("blur", "rotate", "scale", "translate"))
    controls = stage.merged({"without_cue": True}).cells({})[len(stage.cells({})) :]
    assert [cell.label for cell in controls] == [
        "relative rotate augmentation.view_blur_px=1.25",
        "relative scale augmentation.view_blur_px=1.25",
    ]
    assert all(cell.exempt for cell in controls)
    study = Study.parse({"name": "x", "stages": [{"kind": "objectives", "without_cue": True}]})
    found = [
        study.config(cell, 1).augmentation.view_blur_px
        for cell in study.all_stages[0].cells({})
        if cell.composition == ("rotate",)
    ]
    assert found == [0.0, 0.0, 1.25]


def test_a_row_without_the_cue_is_stated_and_chooses_nothing():
    stage = ObjectivesStage(transformations=("rotate",), without_cue=True)
    control = stage.cells({})[-1].merged({"settings": {"optimizer.lr_base": 1e-3}})
    control = control.merged({"settings": stage.cells({})[-1].settings | control.settings})
    found = [*arms((60.0, 70.0), (62.0, 72.0)), Finding(control, 1, "completed", 20, 50.0)]
    selection = stage.select(found)
    assert selection.objective_of == {"rotate": "contrastive"}
    assert selection.best.label == "contrastive rotate"
    assert selection.reasons[0].startswith("rotate: contrastive (relative +10.0 mm,")
    assert selection.reasons[1] == (
        "rotate without the resampling cue: 50.0 against 70.0 mm (undecided: one seed); "
        "not part of the choice"
    )
    without = stage.select(found[:-1]).reasons[-1]
    assert without == "rotate without the resampling cue: no block has both rows complete"


def test_a_transformation_without_parameters_is_contrastive():
    selection = ObjectivesStage(transformations=("blur",)).select([])
    assert selection.objective_of == {"blur": "contrastive"}


def test_compositions_are_all_subsets_each_transformation_on_its_objective():
    objective_of = {"blur": "contrastive", "rotate": "relative", "translate": "relative"}
    before = {"objectives": Selection(stage="objectives", objective_of=objective_of)}
    assert [cell.label for cell in CompositionsStage().cells(before)] == [
        "contrastive none",
        "contrastive blur",
        "relative rotate",
        "relative translate",
        "mixed blur+rotate (rotate)",
        "mixed blur+translate (translate)",
        "relative rotate+translate",
        "mixed blur+rotate+translate (rotate+translate)",
    ]


NAMES = ("blur", "rotate", "translate")


def grid_study(**options):
    """Return a study of Sec. 4.2, 4.3 and the rows with the other arm."""
    stages = [
        {"kind": "objectives", "transformations": NAMES},
        {"kind": "compositions", "skeleton": 4, **options},
        {"kind": "swapped"},
    ]
    return Study.parse({"name": "x", "stages": stages})


def chosen_in_turn(study, mm):
    """Return the selections of all stages, given the error of a cell in a block."""
    before = {}
    for stage in study.all_stages:
        found = [
            Finding(cell, block, "completed", 100, mm(cell) + block)
            for cell in study.resolve(stage, before)
            for block in (1, 2, 3)
        ]
        before[stage.name] = stage.decide(found, before)
    return before


@pytest.mark.parametrize("default", ["contrastive", "relative"])
def test_undecided_and_equivalent_ones_are_composed_on_the_registered_default(default):
    undecided = {"rotate": Decision("undecided", "relative", "contrastive")}
    equivalent = {"translate": Decision("equivalent", "relative", "contrastive")}
    before = Selection(
        stage="objectives",
        objective_of={"blur": "contrastive"},
        decisions=undecided | equivalent,
    )
    cells = CompositionsStage(undecided=default).cells({"objectives": before})
    whole = {
        "contrastive": "contrastive blur+rotate+translate",
        "relative": "mixed blur+rotate+translate (rotate+translate)",
    }
    assert (len(cells), cells[-1].label) == (8, whole[default])


def errors(cell):
    """Relative translate is far better; both arms of rotate are equal; rotate helps, blur not."""
    arms = arms_of(cell)
    gain = {"translate": 9.0 if arms.get("translate") == "relative" else 1.0, "rotate": 4.0}
    return 80.0 - sum(gain.get(name, -2.0) for name in arms)


def test_the_best_composition_stands_beside_it_with_each_undecided_arm_swapped():
    study = grid_study()
    before = chosen_in_turn(study, errors)
    assert before["compositions"].best.label == "mixed rotate+translate (translate)"
    cells = study.resolve(study.all_stages[2], before)
    assert [cell.label for cell in cells] == [
        "mixed rotate+translate (translate)",
        "relative rotate+translate",
    ]
    assert all(cell.exempt for cell in cells)
    reason = before["swapped"].reasons[0]
    assert reason.startswith("rotate in mixed rotate+translate (translate): equivalent (relative ")
    # The first row is the very trial of the grid.
    assert study.config(cells[0], 1) == study.config(before["compositions"].best, 1)


def test_an_undecided_transformation_that_the_best_composition_lacks_is_added_on_its_other_arm():
    before = chosen_in_turn(
        grid_study(), lambda cell: errors(cell) + 9 * ("rotate" in arms_of(cell))
    )
    assert before["compositions"].best.label == "relative translate"
    assert {n: c.label for n, c in before["compositions"].swaps.items()} == {
        "rotate": "relative rotate+translate"
    }
    decision = before["swapped"].decisions["rotate"]
    assert (decision.first, decision.word) == ("relative", "without rotate")


def test_where_everything_is_decided_the_best_composition_stands_alone():
    before = chosen_in_turn(
        grid_study(), lambda cell: errors(cell) - 3 * (arms_of(cell).get("rotate") == "relative")
    )
    assert before["compositions"].swaps == {}
    assert before["swapped"].best == before["compositions"].best.merged({"exempt": True})


def test_a_row_for_each_undecided_transformation_is_planned_before_anything_is_known():
    study = grid_study()
    cells = study.resolve(study.all_stages[2], placeholders(study))
    assert len({cell.label for cell in cells}) == 3


def placeholders(study):
    before = {}
    for stage in study.all_stages:
        cells = study.resolve(stage, before)
        before[stage.name] = placeholder_selection(stage, cells, study.all_stages)
    return before


def test_seven_transformations_have_128_compositions():
    objective_of = dict.fromkeys(SEVEN, "contrastive")
    before = {"objectives": Selection(stage="objectives", objective_of=objective_of)}
    assert len({cell.label for cell in CompositionsStage().cells(before)}) == 128


def test_the_skeleton_is_exempt_and_differs_from_block_to_block():
    objective_of = dict.fromkeys(SEVEN, "contrastive")
    before = {"objectives": Selection(stage="objectives", objective_of=objective_of)}
    stage = CompositionsStage(skeleton=16)
    cells = stage.cells(before)
    parts = [stage.exempt(cells, position) for position in range(8)]
    assert all(len(part) == 16 for part in parts)
    assert len(frozenset.union(*parts)) == 128
    assert CompositionsStage(skeleton=0).exempt(cells, 0) == frozenset()


def test_a_composition_of_one_is_the_very_trial_of_the_stage_before():
    study = Study.parse({"name": "x", "stages": [{"kind": "objectives"}, {"kind": "compositions"}]})
    first, second = study.all_stages
    before = {"objectives": Selection(stage="objectives", objective_of={"rotate": "relative"})}
    alone = next(c for c in study.resolve(second, before) if c.composition == ("rotate",))
    rival = next(c for c in study.resolve(first, {}) if c.label == "relative rotate")
    assert study.config(alone, 1) == study.config(rival, 1)


def test_the_best_cell_has_the_least_mean_adjusted_for_the_blocks_it_was_stopped_in():
    found = [
        finding("contrastive blur", 1, 60.0),
        finding("contrastive blur", 2, 70.0),
        finding("contrastive noise", 1, 61.0),
        finding("contrastive noise", 2, 67.0),
        finding("contrastive sobel", 1, 59.5),
        finding("contrastive sobel", 2, 59.5, "stopped"),
        finding("contrastive cutout", 1, math.nan, "diverged"),
    ]
    cell, reason = best_cell(found)
    assert cell.label == "contrastive sobel"
    assert "63.5 mm, least of 3 over 2 seeds, of which it was completed in 1" in reason
    assert best_cell(found[-1:]) is None


def test_an_easy_block_alone_does_not_make_a_cell_the_best():
    found = [
        finding("contrastive blur", 1, 60.0),
        finding("contrastive blur", 2, 70.0),
        finding("contrastive sobel", 1, 61.0),
    ]
    cell, reason = best_cell(found)
    assert cell.label == "contrastive blur"
    said = "contrastive blur: 65.0 mm, least of 2 over 2 seeds"
    assert reason == f"{said}; against contrastive sobel: undecided: one seed"


def test_a_cell_completed_in_less_than_half_of_the_blocks_is_not_the_best():
    found = [finding("contrastive blur", block, 60.0) for block in (1, 2, 3)]
    found.append(finding("contrastive sobel", 1, 10.0))
    cell, _ = best_cell(found)
    assert cell.label == "contrastive blur"


def searched(grid, points=2, **more):
    """Return a stage that searches on rotate."""
    return HyperparametersStage(composition=("rotate",), grid=grid, points=points, **more)


def points_of(stage, objective):
    return [cell.settings for cell in stage.cells({}) if cell.objective == objective]


def test_hyperparameters_draws_as_many_points_for_each_objective_among_what_it_reads():
    grid = {
        "optimizer.lr_base": (1e-4, 3e-4, 1e-3),
        "temperature": (0.1, 0.5),
        "relative.weighting": ("learned", "fixed"),
    }
    stage = searched(grid, 4)
    contrastive, relative = points_of(stage, "contrastive"), points_of(stage, "relative")
    assert {frozenset(one) for one in contrastive} == {
        frozenset(["optimizer.lr_base", "temperature"])
    }
    assert {frozenset(one) for one in relative} == {
        frozenset(["optimizer.lr_base", "relative.weighting"])
    }
    assert len({str(one) for one in contrastive}) == len({str(one) for one in relative}) == 4
    assert searched(grid, 4).cells({}) == stage.cells({})
    assert searched(grid, 4, draw=2).cells({}) != stage.cells({})


def test_where_objectives_read_the_same_options_their_points_are_the_same():
    grid = {"optimizer.lr_base": (1e-4, 3e-4, 1e-3), "global_batch": (64, 128, 256)}
    stage = searched(grid, 4)
    assert points_of(stage, "contrastive") == points_of(stage, "relative")


def test_no_point_of_a_search_can_be_stopped():
    cells = searched({"optimizer.lr_base": (1e-4, 1e-3)}).cells({})
    assert all(cell.exempt for cell in cells)


def test_more_points_than_an_objective_has_are_refused():
    with pytest.raises(ValueError, match=r"at most 2, the size of the grid .* relative"):
        searched({"optimizer.lr_base": (1e-4, 1e-3), "temperature": (0.1, 0.5)}, 4)


def test_the_mixed_objective_has_no_points_of_its_own():
    with pytest.raises(ValueError, match="uses the settings selected for contrastive and relative"):
        searched({"optimizer.lr_base": (1e-4, 1e-3)}, objectives=("contrastive", "mixed"))


FOUR_KEYS = {
    "optimizer.lr_base": (1e-4, 1e-3),
    "global_batch": (64, 128),
    "temperature": (0.1, 0.5),
    "relative.weighting": ("learned", "fixed"),
}


def chosen_by_search(better):
    """Return a study of a search and three transformations, and what the first two stages chose."""
    stages = [
        {"kind": "hyperparameters", "composition": ["rotate"], "grid": FOUR_KEYS, "points": 8},
        {"kind": "objectives", "transformations": ["blur", "rotate", "translate"]},
        {"kind": "compositions", "skeleton": 4},
    ]
    study = Study.parse({"name": "x", "stages": stages})
    best = {
        "contrastive": {"optimizer.lr_base": 1e-3, "global_batch": 64, "temperature": 0.1},
        "relative": {
            "optimizer.lr_base": 1e-4,
            "global_batch": 128,
            "relative.weighting": "fixed",
        },
    }
    found = [
        Finding(c, 1001, "completed", 100, 70.0 - (c.settings == best[c.objective]) - wins)
        for c in study.resolve(study.all_stages[0], {})
        for wins in [c.objective == better]
    ]
    objective_of = {"blur": "contrastive", "rotate": "relative", "translate": "relative"}
    return study, {
        "hyperparameters": study.all_stages[0].select(found),
        "objectives": Selection(stage="objectives", objective_of=objective_of),
    }


@pytest.mark.parametrize("better", ["contrastive", "relative"])
def test_every_arm_trains_at_its_own_best_rate(better):
    study, before = chosen_by_search(better)
    own = {"contrastive": (1e-3, 64), "relative": (1e-4, 128)}
    expected = own | {"mixed": own[better]}
    for stage in study.all_stages[1:]:
        configs = [study.config(cell, 1) for cell in study.resolve(stage, before)]
        assert len(configs) in (5, 8)
        for one in configs:
            assert (one.optimizer.lr_base, one.global_batch) == expected[one.objective]


@pytest.mark.parametrize(
    ("better", "shared"), [("contrastive", (1e-3, 64)), ("relative", (1e-4, 128))]
)
def test_all_compositions_train_with_the_same_settings_if_asked_to(better, shared):
    study, before = chosen_by_search(better)
    stage = study.all_stages[2].model_copy(update={"searched": "shared"})
    cells = study.resolve(stage, before)
    configs = [study.config(cell, 1) for cell in cells]
    assert len(cells) == 8
    assert {(c.optimizer.lr_base, c.global_batch) for c in configs} == {shared}
    mixed = [one for one in configs if one.objective == "mixed"]
    assert {one.temperature for one in configs if one.objective != "relative"} == {0.1}
    relative = [one for one in configs if one.objective != "contrastive"]
    assert {one.relative.weighting for one in relative} == {"fixed"}
    assert {(one.temperature, one.relative.weighting) for one in mixed} == {(0.1, "fixed")}
    assert before["hyperparameters"].reasons[-1] == (
        f"mixed cells: as {better} where objectives share a key"
    )


@pytest.mark.parametrize("better", ["contrastive", "relative"])
def test_after_a_search_a_composition_of_one_is_the_trial_of_section_4_2(better):
    study, before = chosen_by_search(better)
    arms_of = {c.label: c for c in study.resolve(study.all_stages[1], before)}
    alone = [c for c in study.resolve(study.all_stages[2], before) if len(c.composition) == 1]
    assert [c.composition for c in alone] == [("blur",), ("rotate",), ("translate",)]
    assert all(study.config(c, 1) == study.config(arms_of[c.label], 1) for c in alone)


def test_an_objective_has_its_settings_though_no_point_of_the_other_completed():
    stage = searched({"optimizer.lr_base": (1e-4, 1e-3)})
    outcome = {"contrastive": "diverged", "relative": "completed"}
    found = [Finding(c, 1001, outcome[c.objective], 9, 70.0) for c in stage.cells({})]
    settings = stage.select(found).settings
    alone = {"optimizer.lr_base": 1e-4}
    assert settings == {"relative": alone, "mixed": alone}
    assert stage.select([]).settings == {}


def test_settings_that_were_chosen_hold_in_later_stages_for_their_objective():
    grid = {"optimizer.lr_base": (1e-4, 1e-3)}
    stages = [
        {"kind": "hyperparameters", "composition": ["rotate"], "grid": grid, "points": 2},
        {"kind": "objectives", "transformations": ["rotate"]},
    ]
    study = Study.parse({"name": "x", "stages": stages})
    search, objectives = study.all_stages
    cells = study.resolve(search, {})
    values = {"contrastive": {1e-4: 60.0, 1e-3: 61.0}, "relative": {1e-4: 60.0, 1e-3: 59.0}}
    found = [
        Finding(c, 1001, "completed", 100, values[c.objective][c.settings["optimizer.lr_base"]])
        for c in cells
    ]
    before = {"hyperparameters": search.select(found)}
    rates = {
        c.objective: study.config(c, 1).optimizer.lr_base for c in study.resolve(objectives, before)
    }
    assert rates == {"contrastive": 1e-4, "relative": 1e-3}
    assert study.config(cells[0], 1001).seed == 1001


def test_the_best_cell_moves_to_other_data_and_stands_beside_supervised_arms():
    best = Cell(composition=("rotate",), objective="relative")
    before = {"compositions": Selection(stage="compositions", best=best)}
    sets = [
        {
            "data": {"name": "freihand", "pretrain": {"name": "interhand"}},
            "settings": {"epochs": 19},
        }
    ]
    moved = CrossDatasetStage.parse({"sets": sets}).cells(before)
    assert [cell.label for cell in moved] == [
        "relative rotate",
        "relative rotate epochs=19 on freihand after interhand",
    ]
    arms_ = SupervisedStage().cells(before)
    assert [cell.label for cell in arms_] == [
        "relative rotate",
        "supervised",
        "supervised rotate",
    ]
    assert all(cell.exempt for cell in (*moved, *arms_))


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([{"kind": "compositions"}], "after 'objectives', expected an earlier stage"),
        ([{"kind": "objectives"}, {"kind": "objectives"}], "two stages are called 'objectives'"),
        ([{"kind": "objektives"}], "objektives"),
        (
            [
                {
                    "kind": "hyperparameters",
                    "composition": ["rotate"],
                    "points": 3,
                    "grid": {"optimizer.lr_base": [1e-4, 1e-3]},
                }
            ],
            "expected at most 2",
        ),
        (
            [
                {
                    "kind": "hyperparameters",
                    "composition": ["rotate"],
                    "points": 2,
                    "seeds": [1],
                    "grid": {"optimizer.lr_base": [1e-4, 1e-3]},
                }
            ],
            r"seeds \[1\] are blocks that are reported",
        ),
        (
            [
                {
                    "kind": "hyperparameters",
                    "composition": ["rotate"],
                    "points": 2,
                    "grid": {"temperatur": [0.1, 0.5]},
                }
            ],
            "did you mean 'temperature'",
        ),
        ([{"kind": "cells", "all": []}], "at least 1 cell"),
        ([{"kind": "objectives"}, {"kind": "compositions", "skeleton": 12}], "power of two"),
    ],
)
def test_stages_that_make_no_sense_are_refused_with_the_reason(stages, said):
    with pytest.raises(InputError, match=said):
        Study.parse({"name": "x", "stages": stages})


def mistakes(*stages):
    with pytest.raises(InputError) as caught:
        Study.parse({"name": "x", "stages": stages})
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_mistakes_of_every_stage_are_reported_at_once_before_anything_runs():
    sets = [
        {"data": {"name": "procedural"}, "settings": {"epochz": 3, "global_batch": 1}},
        {"data": {"name": "interhand"}, "settings": {"epochs": 5}},
    ]
    assert mistakes(
        {"kind": "objectives", "transformations": ["noise", "rotate"]},
        {"kind": "compositions", "transformations": ["cutout", "rotate"], "skeleton": 2},
        {"kind": "cross_dataset", "sets": sets},
        {"kind": "supervised", "after": "nowhere"},
    ) == [
        "stages.1.transformations: cutout: expected transformations compared by objectives: noise, "
        "rotate",
        "stages.1.skeleton: 2 cells cannot tell 2 transformations apart, expected 4 or more; "
        "0: none",
        "stages.2.sets.0.settings: global_batch: should be greater than or equal to 2 (got 1)",
        "stages.2.sets.0.settings: epochz: unknown key (got 3); did you mean 'epochs'?",
        "stages.2.sets.1.settings: optimizer.warmup_epochs must be less than epochs, got 10 of 5",
        "stages.3.after: stage supervised: after 'nowhere', expected an earlier stage; valid: "
        "objectives, compositions, cross_dataset",
    ]


@pytest.mark.parametrize("size", [2, 4])
def test_too_small_a_skeleton_is_refused_with_the_least_that_will_do(size):
    said = f"stages.1.skeleton: {size} cells cannot tell 7 transformations apart, expected 8"
    assert mistakes({"kind": "objectives"}, {"kind": "compositions", "skeleton": size})[
        0
    ].startswith(said)
    Study.parse(
        {"name": "x", "stages": [{"kind": "objectives"}, {"kind": "compositions", "skeleton": 8}]}
    )


def test_a_skeleton_of_more_than_ten_transformations_is_refused():
    own = [f"tests.transforms.custom:{name}" for name in ("Dim", "Posterise")]
    values = {
        "name": "x",
        "pretrain": {"augmentation": {"custom": own}},
        "stages": [
            {"kind": "objectives", "transformations": [*TRANSFORMATIONS, "dim", "posterise"]},
            {"kind": "compositions"},
        ],
    }
    with pytest.raises(InputError, match=r"stages.1.skeleton: .* at most 10 .*; 0: none"):
        Study.parse(values)


@pytest.mark.parametrize(
    ("follower", "said"),
    [
        ({"kind": "compositions"}, "expected a stage of kind objectives; 'first' is of kind cells"),
        ({"kind": "compositions", "after": "search"}, "'search' is of kind hyperparameters"),
        ({"kind": "supervised", "after": "search"}, "'search' is of kind hyperparameters"),
    ],
)
def test_a_stage_follows_only_from_one_that_chooses_what_it_needs(follower, said):
    first = {"kind": "cells", "name": "first", "all": [{"composition": "blur"}]}
    search = {"kind": "hyperparameters", "name": "search", "composition": ["rotate"]}
    search |= {"grid": {"optimizer.lr_base": [1e-4, 1e-3]}, "points": 2}
    found = mistakes(first, search, {"after": "first"} | follower)
    assert len(found) == 1
    assert found[0].startswith("stages.2.after: ")
    assert said in found[0]


def test_points_that_are_the_same_trial_are_refused():
    grid = {"augmentation.blur.probability": [0.1, 0.5]}
    search = {"kind": "hyperparameters", "composition": ["rotate"], "grid": grid, "points": 2}
    said = "stages.0.grid: expected 4 points that are different trials, got 2"
    assert mistakes(search)[0].startswith(said)


def test_cells_that_are_listed_are_reported_by_their_number():
    cells = [{"composition": "blur"}, {"composition": "noise", "settings": {"epochs": 3}}]
    with pytest.raises(InputError, match=r"cells.1: optimizer.warmup_epochs must be less"):
        Study.parse({"name": "x", "cells": cells})


def test_supervised_compositions_are_listed_in_any_order_and_run_once():
    stage = SupervisedStage(compositions=(("translate", "rotate"),))
    best = Cell(composition=("rotate", "translate"))
    cells = stage.cells({"compositions": Selection(stage="compositions", best=best)})
    assert [c.label for c in cells[1:]] == ["supervised", "supervised rotate+translate"]


def test_a_study_needs_stages_or_cells_and_not_both():
    with pytest.raises(InputError, match="at least 1 cell, or stages"):
        Study.parse({"name": "x"})
    with pytest.raises(InputError, match="got both"):
        Study.parse(
            {"name": "x", "stages": [{"kind": "objectives"}], "cells": [{"composition": "blur"}]}
        )


def test_a_study_with_stages_is_the_same_from_yaml(tmp_path):
    values = {"name": "x", "stages": [{"kind": "objectives"}, {"kind": "compositions"}]}
    study = Study.parse(values)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json")), encoding="utf-8")
    assert Study.load(file) == study


def rows_of(*cells):
    """Return findings of cells with their errors in blocks 1, 2, 3; NaN: the trial diverged."""
    return [
        finding(label, block, mm, "completed" if math.isfinite(mm) else "diverged")
        for label, *own in cells
        for block, mm in enumerate(own, start=1)
    ]


def test_supervised_rows_are_references_and_not_the_best_of_a_stage():
    low = ("supervised rotate", 20.0, 21.0, 22.0)
    lower = ("supervised blur", 18.0, 19.5, 20.0)
    found = rows_of(low, ("contrastive rotate", 60.0, 61.0, 62.0))
    cell, reason = best_cell(found)
    assert (cell.label, reason) == (
        "contrastive rotate",
        "contrastive rotate: 61.0 mm, least of 1 over 3 seeds",
    )
    assert contenders(found, cell) == (cell,)
    assert best_cell(rows_of(low, ("contrastive blur", *[math.nan] * 3))) is None
    assert best_cell(rows_of(low, lower))[0].label == "supervised blur"


def test_a_cell_that_diverged_with_some_seed_is_no_runner_up():
    found = rows_of(
        ("contrastive blur", 60.0, 61.0, 62.2),
        ("contrastive noise", 60.1, 61.0, math.nan),
        ("contrastive sobel", 80.0, 81.1, 82.0),
    )
    named = [cell.label for cell in contenders(found, best_cell(found)[0])]
    assert named == ["contrastive blur", "contrastive sobel"]
    assert len(contenders(found[:6], found[0].cell)) == 1


@pytest.mark.parametrize(
    ("now", "first", "word", "followed"),
    [
        # Two seeds of arms that repeats move by 2 mm each: 1.96 sqrt((4 + 4) / 2) = 3.9 mm.
        (0.0, 0.0, "relative", {"rotate": "relative"}),
        (2.0, 2.0, "undecided", {}),
        (2.0, 0.0, "undecided", {"rotate": "relative"}),
    ],
)
def test_rounding_decides_and_what_follows_is_what_was_known_at_the_first_run(
    now, first, word, followed
):
    found = [
        replace(one, noise_mm=now, first_noise_mm=first) for one in arms((63.0, 60.0), (64.1, 61.0))
    ]
    selection = ObjectivesStage(transformations=("rotate",)).select(found)
    assert selection.decisions["rotate"].word == word
    assert selection.objective_of == followed
    assert ("within the noise of rounding (3.9 mm)" in selection.reasons[0]) == bool(now)
    later = "later stages follow what the noise known at the first run says, relative"
    assert (later in selection.reasons[0]) == (now != first)
