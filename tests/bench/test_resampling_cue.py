"""`handssl bench resampling` in small: a network finds the trace where it is, and not where not."""

import math

import pytest

from handssl.bench import resampling_cue
from handssl.bench.resampling_cue import MEASURES, WAYS, CueRow, CueSize, bench_resampling_cue, text

TINY = CueSize(view_px=32, crop_px=64, steps=(1, 2), epochs=(2, 3), images=32, labelled=16)


def test_every_way_length_and_seed_is_measured_and_stands_in_the_table(tmp_path):
    rows = bench_resampling_cue(
        tmp_path, seeds=(1,), size=TINY, on_progress=lambda name: lambda done, total: None
    )
    assert {(row.way, row.length) for row in rows} == {(way, n) for way in WAYS for n in (0, 1)}
    assert all(set(row.values) == set(MEASURES) for row in rows)
    assert all(math.isfinite(value) for row in rows for value in row.values.values())
    assert list(tmp_path.iterdir()) == []
    page = text(rows, TINY)
    assert all(f"| {way} | {TINY.steps[1]} | {TINY.epochs[1]} |" in page for way in WAYS)


def test_the_stored_crops_of_the_default_size_have_the_pixels_of_a_view():
    size = CueSize()
    pixels_of_a_box = size.crop_px / 1.75  # a crop shows 1.75 box sides
    assert pixels_of_a_box >= size.view_px


def test_intervals_are_those_of_students_t():
    rows = [
        CueRow("once", 0, seed, dict.fromkeys(MEASURES, value))
        for seed, value in enumerate((1.0, 2.0, 3.0))
    ]
    rows += [CueRow(way, n, 0, dict.fromkeys(MEASURES, 0.0)) for way in WAYS for n in (0, 1)][1:]
    # 4.303 is the table's value for two degrees of freedom.
    assert f"| 2.00 +- {4.303 / math.sqrt(3):.2f} |" in text(rows, TINY)


@pytest.mark.parametrize(("way", "low", "high"), [("once", 0.2, 1.0), ("blur 1.25 px", -1.0, 0.1)])
def test_a_small_network_learns_the_trace_unless_it_is_blurred(way, low, high):
    size = CueSize(view_px=64, crop_px=96, steps=(40, 120), images=256)
    assert low < max(resampling_cue.read_noise(way, 1, size)) < high
