"""Cells over their blocks, ranked as the stages themselves choose."""

from __future__ import annotations

import pytest

from handssl.randomness import numpy_generator
from handssl.report.headline import headline
from handssl.report.ranking import rank
from handssl.report.rows import Row
from handssl.stats.skeleton import subsets
from handssl.study.cell import Cell
from handssl.study.stages import Finding, best_cell


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


def test_a_cell_that_finished_in_too_few_blocks_is_not_ranked(three_blocks):
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


def test_a_cell_that_lacks_a_block_is_ranked_by_its_mean_adjusted_for_blocks(three_blocks):
    gone = next(r for r in three_blocks if r.label == "relative rotate" and r.block == 2)
    ranking = rank([row for row in three_blocks if row is not gone])
    cell = next(cell for cell in ranking.finished if cell.first.label == "relative rotate")
    assert (cell.whole, len(cell.done), cell.by_block()[2]) == (False, 2, None)
    # Block 2 is the hardest: the plain mean over the other two is too good by about 0.9 mm.
    assert cell.mean("median_mm") == pytest.approx(62.1, abs=0.2)
    assert cell.mean("test_median_mm") == pytest.approx(63.0, abs=0.2)


def halved(seed):
    """Three blocks of compositions of which each stopped a part, and what the stage found."""
    draw = numpy_generator("halved", seed)
    rows, found = [], []
    for composition in subsets(("blur", "cutout", "noise", "rotate")):
        cell = Cell(composition=composition)
        for block in (1, 2, 3):
            outcome = "completed" if draw.random() < 0.5 else "stopped"
            value = float(80 + 3 * block + draw.normal())
            name = cell.label.split()[1]
            rows.append(Row(cell.label, name, "contrastive", block, outcome, 6, 6, value))
            found.append(Finding(cell, block, outcome, 6, value))
    return rows, found


@pytest.mark.parametrize("seed", range(20))
def test_the_first_of_the_ranking_is_what_the_stage_chooses(seed):
    rows, found = halved(seed)
    best, reason = best_cell(found)
    first = rank(rows).finished[0]
    assert first.first.label == best.label
    assert f"{first.mean('median_mm'):.1f} mm" in reason


def test_the_headline_names_the_choice_and_says_that_its_mean_is_adjusted():
    rows, found = halved(3)
    best, _ = best_cell(found)
    said = headline(rows)
    assert said.startswith(f"Lowest self-supervised error: {best.label}, median ")
    assert "over 3 blocks (mean adjusted for blocks: completed in 2 of them)" in said


def test_one_cell_with_two_settings_gives_two_lines_and_no_mean_of_both(rows):
    again = Row("relative rotate", "rotate", "relative", 1, "completed", 6, 6, 60.0)
    longer = Row("relative rotate", "rotate", "relative", 1, "completed", 9, 9, 58.0)
    found = [c for c in rank([*rows, again, longer]).finished if c.first.label == "relative rotate"]
    assert [cell.mean("median_mm") for cell in found] == [58.0, 60.0, 62.0]


def test_no_rows_give_an_empty_ranking():
    assert rank([]) == rank(iter(()))
    assert rank([]).finished == ()
