from __future__ import annotations

import io
from dataclasses import replace
from typing import get_args

import pytest
from rich.console import Console

from handssl.ledger.record import Outcome
from handssl.report.headline import headline
from handssl.report.layout import lay_out
from handssl.report.rows import Row
from handssl.report.sections import sections
from handssl.report.table import markdown_table, terminal_table
from tests.report.made_up import page_of

BEST = "relative rotate"


def layout_of(rows):
    """The only one."""
    (section,) = sections(rows)
    return lay_out(section)


def shown(rows, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal_table(rows))
    return console.file.getvalue()


def test_only_trials_that_finished_are_numbered(rows):
    layout = layout_of(rows)
    assert [line.cells[0] for line in layout.finished if line.kind == "trial"] == list("1234567")
    assert {line.cells[0] for line in layout.finished if line.kind == "reference"} == {""}
    assert {line.cells[0] for line in layout.early} == {""}


def test_early_trials_show_their_epoch_and_no_test_values(rows):
    sobel = dict(zip(layout_of(rows).columns, layout_of(rows).early[0].cells, strict=True))
    assert sobel["epoch"] == "4/6"
    assert sobel["outcome"] == "stopped"
    assert sobel["median"] == "76.9"
    assert sobel["test median"] == sobel["test MPJE"] == "–"


@pytest.mark.parametrize("name", ["rows", "three_blocks"])
def test_eighty_columns_are_enough_on_the_terminal(request, name):
    text = shown(request.getfixturevalue(name))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "random encoder" in text
    assert "completed" in text


def test_names_of_compositions_take_more_lines_before_a_number_is_cut():
    seven = "blur+color_jitter+cutout+noise+rotate+sobel+translate"
    row = Row(f"contrastive {seven}", seven, "contrastive", 1, "completed", 6, 6, 80.0, 85.0)
    narrow = shown([row])
    assert all(word in narrow for word in ("1  ", "80.0", "6/6", "completed"))
    assert max(map(len, narrow.splitlines())) <= 80
    assert seven in shown([row], width=160)


@pytest.mark.parametrize("name", ["rows", "three_blocks"])
def test_forty_columns_cut_no_number_and_no_name(request, name):
    rows = request.getfixturevalue(name)
    text = shown(rows, width=40)
    assert max(map(len, text.splitlines())) <= 40
    words = set(text.split())
    layout = layout_of(rows)
    for title in ("median", "PA", "test median", "test PA"):
        place = layout.columns.index(title)
        assert {line.cells[place] for line in (*layout.finished, *layout.early)} <= words
    assert {"contrastive", "relative", "reference"} <= words


def test_every_row_shows_the_primary_error_and_the_aligned_one_side_by_side(rows):
    layout = layout_of(rows)
    titles = list(layout.columns)
    for first, second in (("median", "PA"), ("test median", "test PA")):
        place = titles.index(first)
        assert titles[place + 1] == second
        values = [(line.cells[place], line.cells[place + 1]) for line in layout.finished]
        assert all("–" not in pair for pair in values)
    hog = dict(
        zip(titles, next(x.cells for x in layout.finished if "HOG ridge" in x.cells), strict=True)
    )
    assert [hog[name] for name in ("median", "PA", "test median", "test PA")] == [
        *("60.1", "30.1", "60.7", "30.2")
    ]


def test_on_the_terminal_early_trials_stand_below_their_own_title(rows):
    text = shown(rows)
    assert text.index("mean pose") < text.index("ended early") < text.index("sobel")


def test_with_several_blocks_the_mean_and_every_block_are_shown(three_blocks):
    layout = layout_of(three_blocks)
    lines = [dict(zip(layout.columns, line.cells, strict=True)) for line in layout.finished]
    rotate = next(line for line in lines if (line["cell"], line["#"]) == ("rotate", "1"))
    assert rotate["median in blocks 1, 2, 3"] == "62.0 63.3 60.9"
    assert rotate["median"] == "62.1"
    sobel = dict(zip(layout.columns, layout.early[0].cells, strict=True))
    assert sobel["median in blocks 1, 2, 3"] == "76.9@4 77.7@4 75.0@6"
    assert sobel["median"] == "–"
    assert "62.0 63.3 60.9" in shown(three_blocks)


def test_many_blocks_are_summed_up_by_their_range():
    rows = [
        Row("relative rotate", "rotate", "relative", block, "completed", 6, 6, 60.0 + block)
        for block in range(7)
    ]
    layout = layout_of(rows)
    assert layout.per_block == "median over 7 blocks"
    assert "60.0 to 66.0" in layout.finished[0].cells


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_outcome_is_named_wherever_the_table_is_shown(outcome):
    row = Row("contrastive blur", "blur", "contrastive", 1, outcome, 6, 6, 80.0, curve=((6, 80.0),))
    lines = layout_of([row])
    assert (lines.finished or lines.early)[0].cells[-1] == outcome
    assert outcome in shown([row])
    assert f"| {outcome} |" in markdown_table([row])
    assert f"<td>{outcome}</td>" in page_of([row])


def test_a_trial_stopped_here_at_its_last_epoch_was_trained_by_another_stage(rows):
    said = "Another stage or study may have completed trials that were stopped here."
    assert said not in layout_of(rows).note
    stopped = [replace(r, outcome="stopped") if r.label == BEST else r for r in rows]
    assert said in layout_of(stopped).note


@pytest.mark.parametrize("outcome", sorted({*get_args(Outcome)} - {"completed", "running"}))
def test_of_several_blocks_any_end_says_more_than_one_that_still_runs(outcome):
    rows = [
        Row("contrastive blur", "blur", "contrastive", block, one, 2, 6, 80.0)
        for block, one in enumerate(("running", outcome, "running"))
    ]
    assert layout_of(rows).early[0].outcome == outcome


def test_a_mixed_cell_says_which_of_its_transformations_are_relative():
    label, name = "mixed blur+rotate (rotate)", "blur+rotate"
    row = Row(label, name, "mixed", 1, "completed", 6, 6, 80.0, relative_on="rotate")
    assert layout_of([row]).finished[0].cells[1:3] == ("blur+rotate (relative: rotate)", "mixed")


def test_a_cell_that_lacks_a_block_says_so_and_its_epochs_stand_at_its_values(three_blocks):
    rows = [
        replace(r, outcome="stopped", epoch=2) if (r.label, r.block) == (BEST, 2) else r
        for r in three_blocks
    ]
    line = next(one for one in layout_of(rows).finished if one.cells[-1] == "in 2 of 3")
    assert line.cells[1:3] == ("rotate", "relative")
    assert "62.0@6 63.3@2 60.9@6" in line.cells
    assert "its mean is adjusted for blocks" in layout_of(rows).note
    text = shown(rows)
    assert max(map(len, text.splitlines())) <= 80
    assert "in 2 of 3" in text


def test_markdown_has_as_many_cells_in_every_line(three_blocks):
    lines = [line for line in markdown_table(three_blocks).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {13}
    assert len(lines) == 2 + 13 + 1 + 3


def test_markdown_escapes_the_bar():
    row = Row("contrastive a|b", "a|b", "contrastive", 1, "completed", 6, 6, 80.0)
    assert "a\\|b" in markdown_table([row])


def test_names_are_never_read_as_markup_of_the_terminal():
    row = Row("x", "[red]x", "contrastive", 1, "completed", 6, 6, 80.0)
    assert "[red]x" in shown([row])


def test_no_rows_say_so():
    assert "No trial" in shown([])
    assert headline([]) == "No trial has finished yet."


def test_the_headline_names_the_winner_and_the_better_objectives(rows):
    assert headline(rows) == (
        "Lowest self-supervised error: relative rotate, median 62.0 mm, next relative translate "
        "(64.3 mm). It is 19 % below the random encoder (76.6 mm). No self-supervised cell is "
        "below a ridge on HOG features (60.1 mm; best: relative rotate 62.0 mm). relative rotate "
        "is below the mean pose at the true in-plane angle (62.0 against 63.4 mm). Lower error: "
        "relative for rotate, translate; contrastive for color_jitter. All of this is undecided: "
        "one seed."
    )
