from __future__ import annotations

from dataclasses import replace

import pytest

from handssl.report.order import order_check
from handssl.report.rows import Row


def changed(rows, label, **values):
    return [replace(row, **values) if row.label == label else row for row in rows]


def test_the_order_of_one_block_is_reported_with_its_values(rows):
    check = order_check(rows)
    assert check.word == "undecided"
    lines = str(check).splitlines()
    assert lines[1] == (
        "block 1: mean pose 78.8 > random encoder 76.6 > best self-supervised 62.0 "
        "(relative rotate) > supervised 52.4 mm: in order"
    )
    assert lines[2] == "  on test: 79.4 > 77.2 > 62.9 > 53.0 mm"
    assert lines[3] == "In order in 1 of 1 block on select, in 1 on test; undecided: one seed."


@pytest.mark.parametrize(
    ("label", "value", "failure"),
    [
        ("mean pose", 70.0, "mean pose > random encoder"),
        ("random encoder", 61.0, "random encoder > best self-supervised"),
        ("supervised", 63.0, "best self-supervised > supervised"),
    ],
)
def test_each_step_that_fails_is_named(rows, label, value, failure):
    check = order_check(changed(rows, label, median_mm=value))
    assert not check.blocks[0].descends
    assert check.blocks[0].failures == (failure,)
    assert f"not in order at {failure}" in str(check)
    assert " < " in str(check).splitlines()[1]


def test_equal_values_do_not_hold(rows):
    check = order_check(changed(rows, "mean pose", median_mm=76.6))
    assert check.blocks[0].failures == ("mean pose > random encoder",)
    assert "mean pose 78.8" not in str(check)
    assert "mean pose 76.6 = random encoder 76.6" in str(check)


def test_the_best_is_chosen_on_select_whatever_test_says(rows):
    lucky = changed(rows, "relative translate", test_median_mm=10.0)
    best = order_check(lucky).blocks[0].steps[2].row
    assert best is not None
    assert best.label == "relative rotate"


@pytest.mark.parametrize("outcome", ["stopped", "diverged", "running", "failed"])
def test_only_finished_trials_can_be_the_best(rows, outcome):
    early = Row("contrastive none", "none", "contrastive", 1, outcome, 2, 6, 1.0)
    best = order_check([*rows, early]).blocks[0].steps[2].row
    assert best is not None
    assert best.label == "relative rotate"


def test_test_is_reported_and_does_not_decide(rows):
    check = order_check(changed(rows, "supervised", test_median_mm=99.0))
    assert check.blocks[0].descends
    assert not check.blocks[0].descends_on_test
    assert "in 1 of 1 block on select, in 0 on test" in check.verdict


@pytest.mark.parametrize("label", ["mean pose", "random encoder", "supervised"])
def test_without_a_reference_the_order_does_not_hold_and_says_which_is_missing(rows, label):
    check = order_check([row for row in rows if row.label != label])
    assert check.word == "undecided"
    assert check.blocks[0].missing == (label,)
    assert f"{label} is missing" in str(check)


def test_the_order_is_checked_block_by_block(three_blocks):
    broken = [
        replace(row, median_mm=40.0) if (row.label, row.block) == ("mean pose", 2) else row
        for row in three_blocks
    ]
    check = order_check(broken)
    assert [block.descends for block in check.blocks] == [True, False, True]
    assert check.word == "undecided"
    assert "In order in 2 of 3 blocks on select" in check.verdict
    assert "undecided at mean pose > random encoder (difference" in check.verdict


def test_with_several_blocks_the_order_holds_if_the_interval_of_every_step_excludes_zero(
    three_blocks,
):
    check = order_check(three_blocks)
    assert check.word == "held"
    assert "it held, the 95 % interval of each step excludes 0" in check.verdict


def test_with_several_blocks_a_step_that_is_surely_reversed_fails_the_order(three_blocks):
    check = order_check(changed(three_blocks, "supervised", median_mm=70.0))
    assert check.word == "failed"
    assert "failed at best self-supervised > supervised (difference" in check.verdict


def test_no_rows_hold_nothing():
    assert order_check([]).word == "undecided"
    assert "0 of 0" in str(order_check([]))
