"""The recorded grid, reported by the product: what its three seeds decide and what they do not."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from handssl.report.decisions import decisions, uncompared
from handssl.report.figures.paired_differences import paired_differences
from handssl.report.headline import best_set_values, summary
from handssl.report.rows import Row
from handssl.study.cell import Cell
from handssl.study.stages import Finding, ObjectivesStage, Selection
from tests.report.made_up import page_of

CURVES = Path(__file__).parents[2] / "benchmarks" / "curves" / "compositions.csv"
SEVEN = ("blur", "color_jitter", "cutout", "noise", "rotate", "sobel", "translate")
# The arms that the grid was composed of: those with the lower mean, as recorded.
COMPOSED = {"relative color_jitter", "contrastive rotate", "contrastive translate"}


def last_values():
    """Return the last value of each trained cell: label, composition, objective, seed, mm."""
    with CURVES.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["objective"] != "supervised"]
    last = max(int(row["epoch"]) for row in rows)
    names = ("cell", "composition", "objective")
    return [
        (*(row[name] for name in names), int(row["block"]), float(row["median_mm"]))
        for row in rows
        if int(row["epoch"]) == last
    ]


@pytest.fixture(scope="module")
def grid():
    found = []
    for label, composition, objective, seed, mm in last_values():
        row = Row(label, composition, objective, seed, "completed", 9, 9, mm, curve=((9, mm),))
        where = {"stage": "objectives", "stage_kind": "objectives", "margin_mm": 1.0}
        if "+" not in composition and composition != "none":
            found.append(Row(**{**vars(row), **where}))
        if label not in COMPOSED:
            where = {"stage": "compositions", "stage_kind": "compositions"}
            found.append(Row(**{**vars(row), **where}))
    return found


def test_translate_is_relative_rotate_and_color_jitter_are_undecided(grid):
    assert len(grid) == 3 * (10 + 128)
    said = {one.name: str(one) for one in decisions(grid)}
    assert said == {
        "translate": "translate: relative (relative -11.6 mm, -13.4 to -9.9, Holm p .004, 3 seeds)",
        "rotate": "rotate: undecided (relative -7.3 mm, -16.4 to +1.8, Holm p .15, 3 seeds; about "
        "6 seeds would settle it)",
        "color_jitter": "color_jitter: undecided (relative +1.1 mm, -1.2 to +3.4, Holm p .18, "
        "3 seeds; about 11 seeds would settle it)",
    }
    assert {f"{one}." for one in said.values()} < set(summary(grid))
    correlations = {one.name: round(one.decision.correlation, 2) for one in decisions(grid)}
    assert correlations == {"translate": 0.97, "rotate": 0.51, "color_jitter": 0.91}
    assert uncompared(grid) == []


def test_two_of_its_128_cells_cannot_be_told_from_the_best(grid):
    assert (
        "2 of 128 cells cannot be told from the best (95 % for all together, 3 seeds): "
        "relative translate, relative rotate+translate."
    ) in summary(grid)
    assert best_set_values(grid)["compared"] == 128


def test_the_stage_decides_the_same_and_composes_the_others_on_the_default():
    found = [
        Finding(Cell(composition=(name,), objective=objective), seed, "completed", 9, mm)
        for _, name, objective, seed, mm in last_values()
        if name in SEVEN
    ]
    chosen = ObjectivesStage().select(found)
    assert chosen.objective_of["translate"] == "relative"
    assert chosen.undecided == ("color_jitter", "rotate")
    assert (
        Selection.model_validate(json.loads(json.dumps(chosen.model_dump(mode="json")))) == chosen
    )
    assert any(one.startswith("sensitivity: Holm p with the variances") for one in chosen.reasons)


def test_the_page_shows_each_difference_with_its_interval_and_json_has_every_number(grid):
    figure = paired_differences(decisions(grid))
    assert figure.count('class="dot ') == 3
    assert figure.count(" early") == 2
    assert figure.count('class="reference"') == 2  # both margins
    assert "Paired differences of 3 transformations" in page_of(grid)
    (rotate,) = [one.values() for one in decisions(grid) if one.name == "rotate"]
    assert json.loads(json.dumps(rotate))["p_holm"] == pytest.approx(0.148, abs=1e-3)
    assert rotate["word"] == "undecided"
    assert rotate["margin_mm"] == 1.0


def test_cells_that_were_stopped_early_are_said_not_to_be_compared(grid):
    early = [
        Row(**{**vars(row), "outcome": "stopped", "epoch": 3})
        if row.label == "contrastive none"
        else row
        for row in grid
    ]
    (said,) = [one for one in summary(early) if "cannot be told" in one]
    assert said.startswith("2 of 127 cells")
    assert said.endswith("; not compared: 1 that were stopped early, diverged or failed.")


def test_a_row_without_the_resampling_cue_is_no_arm_of_its_own():
    rows = [
        Row(label, "rotate", label.split()[0], seed, "completed", 9, 9, mm + seed)
        for label, mm in (
            ("relative rotate", 60.0),
            ("contrastive rotate", 70.0),
            ("relative rotate augmentation.view_blur_px=1.25", 69.0),
        )
        for seed in (1, 2)
    ]
    assert [one.decision.word for one in decisions(rows)] == ["relative"]
