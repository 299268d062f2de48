"""Skeletons are dealt by a seed, once for the plan, the run, the report and the simulation."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from handssl.ledger import Ledger
from handssl.planning.preregistration import deviations, keep, plan_hash, preregistration
from handssl.planning.study_plan import StudyPlan
from handssl.report.effects import study_effects
from handssl.report.rows import Row
from handssl.scheduling.skeletons import deal, planned_skeletons
from handssl.stats.difference import difference_effects
from handssl.stats.imputation import BlockSample
from handssl.stats.skeleton import skeleton, subsets
from handssl.study.extension import as_first_planned
from handssl.study.stages import Selection
from handssl.study.study import Study
from handssl.study.trials import plan_stage

SEVEN = ("blur", "color_jitter", "cutout", "noise", "rotate", "sobel", "translate")
FIVE = ("blur", "cutout", "noise", "rotate", "sobel")


def study(blocks=(1, 2), **stage):
    stages = [
        {"kind": "objectives", "transformations": FIVE},
        {"kind": "compositions", "skeleton": 8, **stage},
    ]
    return Study.parse({"name": "mine", "stages": stages, "blocks": blocks})


def exempt(one):
    """Return the compositions that are never stopped, by block, as the study runs them."""
    choice = {"stage": "objectives", "objective_of": dict.fromkeys(FIVE, "contrastive")}
    before = {"objectives": Selection.parse(choice)}
    found = {block: set() for block in one.blocks}
    for trial in plan_stage(one, one.all_stages[1], before, lambda data: "00"):
        if trial.exempt:
            found[trial.block].add(tuple(sorted(trial.config.composition)))
    return found


@pytest.mark.parametrize("seed", [None, 0, 1, 2**40])
def test_every_block_has_a_balanced_orthogonal_part_and_the_parts_are_all_compositions(seed):
    dealt = deal(SEVEN, 16, seed)
    parts = [dealt.of(position) for position in range(8)]
    assert set().union(*parts) == set(subsets(SEVEN)) and sum(map(len, parts)) == 128
    assert dealt.of(8) == parts[0]
    for part in parts:
        design = np.array([[1 if name in one else -1 for name in SEVEN] for one in sorted(part)])
        assert (design.T @ design == 16 * np.eye(7)).all() and not design.sum(0).any()


def test_without_a_seed_columns_are_alphabetical_and_cosets_are_counted():
    dealt = deal(reversed(SEVEN), 16, None)
    for position in range(10):
        assert dealt.of(position) == set(skeleton(SEVEN, 16, position))


def test_columns_and_first_cosets_are_equally_likely_over_seeds():
    dealt = [deal(SEVEN, 16, seed) for seed in range(700)]
    last, first = Counter(one.columns[-1] for one in dealt), Counter(o.cosets[0] for o in dealt)
    # 700 seeds: 100 and 87.5 of each on average, with standard deviations below 9.4.
    assert set(last) == set(SEVEN) and all(60 < count < 140 for count in last.values())
    assert set(first) == set(range(8)) and all(50 < count < 125 for count in first.values())


def test_the_deal_depends_on_the_seed_and_not_on_the_order_of_names():
    assert deal(SEVEN, 16, 1) == deal(set(SEVEN), 16, 1)
    assert len({deal(SEVEN, 16, seed) for seed in range(20)}) == 20


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_the_run_and_the_plan_and_the_report_deal_the_same(seed, tmp_path):
    one = study(seed=seed)
    planned = planned_skeletons(preregistration(one, tmp_path), "compositions", FIVE)
    assert planned == deal(FIVE, 8, seed)
    for position, chosen in enumerate(exempt(one).values()):
        assert chosen == planned.of(position)


def test_a_block_that_is_added_later_changes_no_earlier_one():
    before, after = exempt(study((1, 2))), exempt(study((1, 2, 9)))
    assert {block: after[block] for block in before} == before
    assert after[9] and after[9] != before[2]


def test_stages_are_found_by_their_whole_name():
    planned = {"stages.my-compositions.skeleton": "8", "stages.compositions.skeleton": "16"}
    assert planned_skeletons(planned, "compositions", SEVEN).cells == 16
    assert planned_skeletons(planned, "mine", SEVEN) is None


def test_the_seed_is_part_of_the_hash(tmp_path):
    plans = [preregistration(study(seed=seed), tmp_path) for seed in (None, 0, 1)]
    assert len({plan_hash(plan) for plan in plans}) == 3
    assert deviations(plans[1], plans[2]) == ["stages.compositions.seed: 0 -> 1"]


def stored(storage):
    """Store a study's plan as before the option: neither plan nor study has the key `seed`."""
    old, ledger = study(seed=None), Ledger(storage)
    keep(old, storage, ledger, lambda event: None)
    values = old.model_dump(mode="json")
    del values["stages"][1]["seed"]
    ledger.studies.keep_study("mine", values)
    plan = ledger.studies.plan("mine")
    assert "stages.compositions.seed" not in plan["registered"]
    return plan


def test_a_study_stored_before_the_option_continues_with_its_columns_and_cosets(tmp_path):
    plan = stored(tmp_path)
    undealt = {block: set(skeleton(FIVE, 8, block - 1)) for block in (1, 2, 3)}
    for one in (study((1, 2, 3)), Study.parse(plan["study"]).merged({"blocks": [1, 2, 3]})):
        assert exempt(one) != undealt
        assert exempt(as_first_planned(one, plan)) == undealt
    now = StudyPlan(study(), tmp_path)
    assert now.deviations == [] and now.hash == plan["hash"]
    asked = StudyPlan(study(seed=5), tmp_path)
    assert asked.deviations == ["stages.compositions.seed: absent -> 5"]


def test_a_new_study_is_dealt_by_its_seed_also_in_later_runs(tmp_path):
    ledger, one = Ledger(tmp_path), study()
    keep(one, tmp_path, ledger, lambda event: None)
    assert as_first_planned(one, ledger.studies.plan("mine")) == one
    assert exempt(one)[1] == deal(FIVE, 8, 0).of(0) != set(skeleton(FIVE, 8))


@pytest.mark.parametrize("seed", [None, 3])
def test_the_report_takes_effects_from_the_skeleton_that_the_plan_deals(seed):
    rng = np.random.default_rng(0)
    last = {(c, b): 80 + rng.normal() for b in (1, 2) for c in subsets(FIVE)}
    dealt = deal(FIVE, 8, seed)
    rows = [row(c, b, mm, completed=c in dealt.of(b - 1)) for (c, b), mm in last.items()]
    planned = {"blocks": "1,2", "stages.compositions.skeleton": "8"}
    planned |= {} if seed is None else {"stages.compositions.seed": str(seed)}
    expected = difference_effects(
        [
            BlockSample(
                {c: [last[c, b] + 5] for c in subsets(FIVE)},
                {c: last[c, b] for c in dealt.of(b - 1)},
            )
            for b in (1, 2)
        ]
    )
    found = study_effects(rows, planned).effects
    assert {n: e.mm for n, e in found.items()} == pytest.approx(
        {n: e.mm for n, e in expected.items()}
    )


def row(composition, block, mm, *, completed):
    name = "+".join(composition) or "none"
    curve = ((1, mm + 5), (2, mm)) if completed else ((1, mm + 5),)
    outcome = "completed" if completed else "stopped"
    return Row(
        f"mixed {name}",
        name,
        "mixed",
        block,
        outcome,
        curve[-1][0],
        2,
        median_mm=curve[-1][1],
        curve=curve,
        stage="compositions",
        stage_kind="compositions",
    )
