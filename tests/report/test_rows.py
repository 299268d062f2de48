from __future__ import annotations

import pytest

from handssl.report.rows import Row, rank, row_of
from handssl.tracking.record import EpochMetrics, TrialRecord


def record(**changes):
    values = {
        "trial_id": "0" * 16,
        "study": "demo",
        "stage": "objectives",
        "cell": "relative rotate",
        "composition": "rotate",
        "objective": "relative",
        "block": 1,
        "outcome": "completed",
        "epoch": 2,
        "epochs": 2,
        "metrics": {"median_mm": 62.0, "mpje_mm": 67.0, "test_median_mm": 63.0},
    }
    return TrialRecord(**values | changes)


def history(*values):
    return [
        EpochMetrics(epoch=epoch, metrics={} if value is None else {"median_mm": value})
        for epoch, value in enumerate(values)
    ]


def test_a_row_takes_the_primary_measures_and_leaves_missing_ones_empty():
    row = row_of(record())
    assert (row.median_mm, row.mpje_mm, row.test_median_mm) == (62.0, 67.0, 63.0)
    assert row.test_mpje_mm is None


def test_a_curve_leaves_out_epoch_zero_and_epochs_without_a_median():
    assert row_of(record(), history(90.0, 70.0, None, 62.0)).curve == ((1, 70.0), (3, 62.0))


@pytest.mark.parametrize(
    ("objective", "kind"),
    [("reference", "reference"), ("supervised", "reference"), ("contrastive", "trial")],
)
def test_untrained_and_supervised_rows_are_references(objective, kind):
    assert row_of(record(objective=objective)).kind == kind


def test_finished_cells_are_ranked_by_median_with_references_among_them(rows):
    medians = [cell.mean("median_mm") for cell in rank(reversed(rows)).finished]
    assert medians == sorted(medians)
    names = [cell.first.label for cell in rank(rows).finished]
    assert names[0] == "supervised"
    assert names[-3:] == ["random encoder", "contrastive translate", "mean pose"]


def test_a_stopped_cell_is_never_ranked_even_if_its_median_is_the_lowest(rows):
    lowest = Row("contrastive none", "none", "contrastive", 1, "stopped", 2, 6, 1.0)
    ranking = rank([*rows, lowest])
    assert all(cell.first.outcome == "completed" for cell in ranking.finished)
    assert lowest in [cell.first for cell in ranking.early]


def test_early_cells_are_listed_farthest_first_and_those_without_a_value_last(rows):
    failed = Row("contrastive none", "none", "contrastive", 1, "failed", 0, 6)
    assert [c.name for c in rank([failed, *rows]).early] == ["sobel", "blur", "noise", "none"]


def test_a_cell_is_ranked_only_if_it_finished_in_every_block(three_blocks):
    ranking = rank(three_blocks)
    assert ranking.blocks == (1, 2, 3)
    early = {cell.name: cell for cell in ranking.early}
    assert [row.outcome for row in early["sobel"].rows] == ["stopped", "stopped", "completed"]


def test_a_mean_is_taken_over_blocks_and_never_over_different_epochs(three_blocks):
    cells = {
        cell.first.label: cell for cell in rank(three_blocks).finished + rank(three_blocks).early
    }
    blocks = [r.median_mm for r in three_blocks if r.label == "relative rotate"]
    assert cells["relative rotate"].mean("median_mm") == pytest.approx(sum(blocks) / 3)
    assert cells["contrastive sobel"].mean("median_mm") is None


def test_a_block_that_is_missing_keeps_a_cell_from_being_ranked(three_blocks):
    gone = next(r for r in three_blocks if r.label == "relative rotate" and r.block == 2)
    ranking = rank([row for row in three_blocks if row is not gone])
    cell = next(cell for cell in ranking.early if cell.first.label == "relative rotate")
    assert cell.mean("median_mm") is None
    assert cell.by_block()[2] is None


def test_one_cell_with_two_settings_gives_two_lines_and_no_mean_of_both(rows):
    again = Row("relative rotate", "rotate", "relative", 1, "completed", 6, 6, 60.0)
    longer = Row("relative rotate", "rotate", "relative", 1, "completed", 9, 9, 58.0)
    found = [c for c in rank([*rows, again, longer]).finished if c.first.label == "relative rotate"]
    assert [cell.mean("median_mm") for cell in found] == [58.0, 60.0, 62.0]


def test_no_rows_give_an_empty_ranking():
    assert rank([]) == rank(iter(()))
    assert rank([]).finished == ()
