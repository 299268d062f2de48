"""Stages: their cells, what they choose, and how the next follows from it."""

from __future__ import annotations

import math

import pytest
import yaml

from handssl.errors import InputError
from handssl.sweep.stages import (
    CompositionsStage,
    CrossDatasetStage,
    Finding,
    HyperparametersStage,
    ObjectivesStage,
    Selection,
    SupervisedStage,
    best_cell,
)
from handssl.sweep.study import Cell, Study

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
    ("values", "winner"),
    [
        ([(70.0, 60.0), (71.0, 62.0)], "relative"),
        ([(60.0, 70.0)], "contrastive"),
        ([(60.0, 60.0)], "contrastive"),
        ([(60.0, 50.0), (60.0, 80.0)], "contrastive"),
        ([(math.nan, 50.0), (60.0, 80.0)], "relative"),
    ],
)
def test_the_objective_with_the_lesser_mean_over_blocks_is_chosen(values, winner):
    selection = ObjectivesStage(transformations=("rotate",)).select(arms(*values))
    assert selection.objective_of == {"rotate": winner}
    assert selection.reasons[0].startswith(f"rotate: {winner}; contrastive ")


def test_a_block_that_lacks_an_arm_is_left_out_of_the_comparison():
    stage = ObjectivesStage(transformations=("rotate",))
    found = [*arms((60.0, 70.0)), finding("relative rotate", 2, 1.0)]
    assert stage.select(found).objective_of == {"rotate": "contrastive"}
    assert "over 1 block" in stage.select(found).reasons[0]
    assert "no block has both arms" in stage.select(found[1:]).reasons[0]


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
    assert "63.50 mm, least of 3 over 2 blocks, of which it was completed in 1" in reason
    assert best_cell(found[-1:]) is None


def test_an_easy_block_alone_does_not_make_a_cell_the_best():
    found = [
        finding("contrastive blur", 1, 60.0),
        finding("contrastive blur", 2, 70.0),
        finding("contrastive sobel", 1, 61.0),
    ]
    cell, reason = best_cell(found)
    assert cell.label == "contrastive blur"
    assert reason == "contrastive blur: 65.00 mm, least of 2 over 2 blocks"


def test_a_cell_completed_in_less_than_half_of_the_blocks_is_not_the_best():
    found = [finding("contrastive blur", block, 60.0) for block in (1, 2, 3)]
    found.append(finding("contrastive sobel", 1, 10.0))
    cell, _ = best_cell(found)
    assert cell.label == "contrastive blur"


def test_hyperparameters_draws_the_same_points_for_each_objective():
    grid = {"optimizer.lr_base": (1e-4, 3e-4, 1e-3), "temperature": (0.1, 0.5)}
    stage = HyperparametersStage(composition=("rotate",), grid=grid, points=4)
    cells = stage.cells({})
    by_objective = [[c.settings for c in cells if c.objective == o] for o in stage.objectives]
    assert by_objective[0] == by_objective[1]
    assert len({str(one) for one in by_objective[0]}) == 4
    other = HyperparametersStage(composition=("rotate",), grid=grid, points=4, draw=2)
    assert [c.settings for c in other.cells({})] != [c.settings for c in cells]


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
                    "grid": {"temperature": [0.1, 0.5]},
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
                    "grid": {"temperature": [0.1, 0.5]},
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
