"""The best self-supervised cell against the HOG ridge and the mean pose at the true angle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handssl.report.headline import headline
from handssl.report.rows import Row
from handssl.report.verdicts import comparisons, unmeasured
from tests.report.conftest import REFERENCES

HOG, ANGLE = "HOG ridge", "true-angle oracle"


def cell(name, *values, outcomes=()):
    """Rows of a cell, one value per seed."""
    found = [
        Row(f"relative {name}", name, "relative", seed, "completed", 6, 6, mm)
        for seed, mm in enumerate(values, 1)
    ]
    return (
        [replace(r, outcome=o) for r, o in zip(found, outcomes, strict=True)] if outcomes else found
    )


def reference(label, mm):
    return Row(label, "none", "reference", 1, "completed", 0, 0, mm, kind="reference")


def against_hog(*cells):
    (found,) = comparisons([reference(HOG, 60.1), *(row for rows in cells for row in rows)])
    return found


@pytest.mark.parametrize(
    ("values", "word", "sentence"),
    [
        (
            (62.3,),
            "undecided",
            "No self-supervised cell is below a ridge on HOG features (60.1 mm; best: relative "
            "rotate 62.3 mm); undecided: one seed.",
        ),
        (
            (58.0,),
            "undecided",
            "relative rotate is below a ridge on HOG features (58.0 against 60.1 mm); undecided: "
            "one seed.",
        ),
        (
            (62.2, 62.4, 62.3),
            "not better",
            "No self-supervised cell beats a ridge on HOG features (60.1 mm; best: relative "
            "rotate 62.3 mm); difference +2.2 mm, 95 % interval +2.0 to +2.4, 3 seeds.",
        ),
        (
            (57.9, 58.1, 58.0),
            "better",
            "relative rotate beats a ridge on HOG features (58.0 against 60.1 mm); difference "
            "-2.1 mm, 95 % interval -2.3 to -1.9, 3 seeds.",
        ),
        (
            (60.0, 64.0, 62.9),
            "undecided",
            "No self-supervised cell is below a ridge on HOG features (60.1 mm; best: relative "
            "rotate 62.3 mm); undecided: difference +2.2 mm, 95 % interval -2.9 to +7.3, 3 seeds.",
        ),
        (
            (56.0, 60.0, 58.0),
            "undecided",
            "relative rotate is below a ridge on HOG features (58.0 against 60.1 mm); undecided: "
            "difference -2.1 mm, 95 % interval -7.1 to +2.9, 3 seeds.",
        ),
    ],
)
def test_the_verdict_against_hog_says_what_the_seeds_can_tell(values, word, sentence):
    found = against_hog(cell("rotate", *values))
    assert (found.verdict.word, str(found)) == (word, sentence)
    assert found.values()["verdict"] == word
    assert (found.values()["interval_mm"] is None) == (len(values) == 1)


def test_a_cell_with_a_diverged_seed_leaves_it_undecided():
    ended = ("completed", "completed", "diverged")
    found = against_hog(cell("rotate", 57.9, 58.1, None, outcomes=ended))
    assert str(found).endswith("undecided: diverged in 1 of 3 seeds.")


def test_a_cell_that_ended_early_beats_nothing():
    early = cell("blur", 10.0, outcomes=("stopped",))
    assert against_hog(cell("rotate", 62.3), early).cell == "relative rotate"


def test_the_best_cell_of_all_stages_is_compared():
    first = [replace(row, stage="a") for row in cell("rotate", 59.0)]
    second = [replace(row, stage="b") for row in cell("blur", 61.0)]
    assert against_hog(first, second).cell == "relative rotate"


def test_the_one_angle_row_is_compared_like_the_hog_ridge():
    rows = [reference(HOG, 60.1), reference(ANGLE, 60.6), *cell("rotate", 62.3)]
    hog, angle = comparisons(rows)
    assert "the mean pose at the true in-plane angle (60.6 mm" in str(angle)
    for one in (hog, angle):
        assert one.fact in headline(rows)


def test_without_the_rows_or_without_a_cell_nothing_is_claimed():
    assert comparisons(cell("rotate", 62.3)) == ()
    assert comparisons([reference(HOG, 60.1)]) == ()
    assert "HOG" not in headline(cell("rotate", 62.3))


def test_rows_of_an_earlier_version_are_named_as_not_measured(rows):
    assert unmeasured(rows) == ()
    earlier = [row for row in rows if row.label in ("mean pose", "random encoder", "supervised")]
    lacking = set(unmeasured([*earlier, *cell("rotate", 62.3)]))
    assert lacking == {*REFERENCES} - {"mean pose", "random encoder", "supervised"}
    assert unmeasured(cell("rotate", 62.3)) == ()  # a study without references


def test_what_rounding_alone_reaches_is_undecided():
    rows = [
        *cell("rotate", 60.0, 60.2, 60.1),
        *(replace(reference(HOG, 61.0), block=b) for b in (1, 2, 3)),
    ]
    assert comparisons(rows)[0].verdict.word == "better"
    noisy = [replace(row, noise_mm=2.0) if row.kind == "trial" else row for row in rows]
    # 1.96 x 2 mm / sqrt(3) = 2.3 mm.
    assert "undecided" in str(comparisons(noisy)[0])
    assert "within the noise of rounding (2.3 mm)" in str(comparisons(noisy)[0])
