"""A fraction without halving: what is trained, which effects follow, and who can win."""

from __future__ import annotations

import numpy as np
import pytest

from handssl.planning.study_plan import StudyPlan
from handssl.report.effects import effect_gaps, study_effects
from handssl.scheduling.skeletons import deal
from handssl.stats.skeleton import aliases, subsets
from handssl.study.stages import CompositionsStage, Finding, Selection
from handssl.study.study import Study
from handssl.study.trials import plan_stage
from tests.scheduling.test_skeletons import FIVE, SEVEN, row

CHOICE = {"stage": "objectives", "objective_of": dict.fromkeys(FIVE, "contrastive")}
PLANNED = {
    "blocks": "1,2",
    "stages.compositions.skeleton": "8",
    "stages.compositions.design": "fraction",
    "stages.compositions.seed": "3",
}


def study(**stage):
    stages = [
        {"kind": "objectives", "transformations": FIVE},
        {"kind": "compositions", "design": "fraction", "skeleton": 8, "seed": 3, **stage},
    ]
    return Study.parse({"name": "mine", "stages": stages, "blocks": [1, 2]})


def test_only_the_fraction_of_each_block_is_trained_and_none_of_it_is_stopped():
    one = study()
    before = {"objectives": Selection.parse(CHOICE)}
    trials = plan_stage(one, one.all_stages[1], before, lambda data: "00")
    assert all(trial.exempt for trial in trials)
    for position, block in enumerate(one.blocks):
        own = {tuple(sorted(t.config.composition)) for t in trials if t.block == block}
        assert own == deal(FIVE, 8, 3).of(position)
    assert len(trials) == 16


def test_the_plan_counts_the_fraction_alone_and_names_what_each_effect_includes(tmp_path):
    plan = StudyPlan(study(), tmp_path)
    work = plan.work[1]
    assert (len(work.planned.trials), sum(t.exempt for t in work.planned.trained)) == (16, 16)
    lines = plan.confounding(work.planned)
    for name in FIVE:
        assert any(f"the estimate of {name} includes" in line for line in lines)
    assert plan.hash != StudyPlan(study(design="halving"), tmp_path).hash


@pytest.mark.parametrize(("names", "cells"), [(FIVE, 8), (SEVEN, 16), (SEVEN, 64)])
def test_an_alias_has_the_same_column_as_its_effect_and_no_shorter_one_has(names, cells):
    rows = sorted(deal(names, cells, 1).of(0))
    signs = {n: np.array([1 if n in one else -1 for one in rows]) for n in names}

    def same(name, other):
        return abs(signs[name] @ np.prod([signs[n] for n in other], axis=0)) == cells

    for name in names:
        found = [one for one in subsets(names)[1:] if one != (name,) and same(name, one)]
        least = min(map(len, found))
        expected = sorted(":".join(one) for one in found if len(one) == least)
        assert aliases(deal(names, cells, 1).columns, cells, name) == expected


def rows(missing=()):
    gain = {"blur": 1.0, "cutout": -0.5, "noise": 0.2, "rotate": -3.0, "sobel": 0.0}
    parts = {block: deal(FIVE, 8, 3).of(block - 1) for block in (1, 2)}
    return gain, [
        row(c, b, 80 + 5 * b + sum(gain[n] for n in c), completed=(c, b) not in missing)
        for b, part in parts.items()
        for c in sorted(part)
    ]


def test_effects_of_additive_transformations_are_exact_and_the_method_is_named():
    gain, everything = rows()
    found = study_effects(everything, PLANNED)
    assert {n: e.mm for n, e in found.effects.items()} == pytest.approx(gain)
    assert found.method == "fraction of 8 of 32 compositions in 2 blocks, another coset in each"
    assert all(one.seeds_low <= one.seeds_high for one in found.effects.values())
    assert effect_gaps(everything, PLANNED) == ()


def test_a_block_that_lacks_a_cell_of_its_fraction_counts_with_the_others_and_is_named():
    lost = (sorted(deal(FIVE, 8, 3).of(1))[2], 2)
    gain, everything = rows({lost})
    found = study_effects(everything, PLANNED)
    assert found.method.endswith("but 1 missing trial, fitted by main effects and block")
    assert {n: e.mm for n, e in found.effects.items()} == pytest.approx(gain)
    [gap] = effect_gaps(everything, PLANNED)
    assert (gap.block, len(gap.cells), gap.used) == (2, 1, True)


def test_the_choice_says_that_only_trained_compositions_were_candidates():
    stage = CompositionsStage(design="fraction", skeleton=8)
    cells = CompositionsStage().cells({"objectives": Selection.parse(CHOICE)})[:8]
    found = stage.select([Finding(c, 1, "completed", 9, 80.0 + i) for i, c in enumerate(cells)])
    assert found.best == cells[0]
    assert found.reasons[-1] == (
        "design fraction: only the 8 compositions that were trained could be chosen"
    )


def test_a_fraction_without_cells_is_a_mistake():
    with pytest.raises(Exception, match=r"stages.1.skeleton: expected the cells of the fraction"):
        study(skeleton=0)
