from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from handssl.report.figures.axes import WIDTH
from handssl.report.figures.curves import learning_curves, mean_curve
from handssl.report.figures.dot_plot import dot_plot
from handssl.report.figures.svg import Scale, padded_scale, spread
from handssl.report.ranking import rank
from handssl.report.rows import Row


def test_labels_that_would_overlap_are_moved_apart_and_stay_in_order():
    wanted = [50.0, 10.0, 12.0, 11.0, 98.0, 99.0]
    places = spread(wanted, gap=8, low=0, high=100)
    assert sorted(range(6), key=wanted.__getitem__) == sorted(range(6), key=places.__getitem__)
    ordered = sorted(places)
    gaps = [b - a for a, b in pairwise(ordered)]
    assert min(gaps) >= 8 - 1e-9
    assert ordered[0] >= 0
    assert ordered[-1] <= 100
    assert places[0] == 50.0


def test_ticks_are_round_and_within_the_scale():
    assert Scale(51.0, 80.0, 0, 1).ticks(5) == [60, 70, 80]
    assert Scale(0.0, 1.0, 0, 1).ticks(5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_scale_of_one_value_is_not_a_division_by_zero():
    scale = padded_scale([60.0], 0, 100)
    assert scale(60.0) == pytest.approx(50.0)


def test_a_mark_stands_where_its_median_is(rows):
    figure = dot_plot(rank(rows))
    ticks = re.findall(r'<text x="([\d.]+)"[^>]*text-anchor="middle" class="tick">(\d+)<', figure)
    (x1, v1), (x2, v2) = [(float(x), float(v)) for x, v in (ticks[0], ticks[-1])]
    x = float(re.search(r'cx="([\d.]+)"[^>]*class="dot contrastive"', figure).group(1))
    # The first disc is the contrastive mark of the first pair: rotate, 75.8 mm.
    assert v1 + (x - x1) / (x2 - x1) * (v2 - v1) == pytest.approx(75.8, abs=0.1)


def test_compositions_tried_with_both_objectives_come_first_and_are_joined(rows):
    figure = dot_plot(rank(rows))
    names = re.findall(r'class="name">([^<]+)<', figure)
    assert names == ["rotate", "translate", "color_jitter", "cutout", "sobel", "blur", "noise"]
    assert figure.count('class="pair"') == 3


def test_all_marks_and_lines_lie_within_the_figure(three_blocks):
    for figure in (dot_plot(rank(three_blocks)), learning_curves(rank(three_blocks))):
        xs = [float(x) for x in re.findall(r'(?:cx|x1|x2|x)="(-?[\d.]+)"', figure)]
        assert min(xs) >= 0
        assert max(xs) <= WIDTH


def test_every_block_has_a_small_mark(three_blocks):
    assert dot_plot(rank(three_blocks)).count('class="block ') == 30


def test_a_mean_curve_goes_as_far_as_all_blocks_did():
    row = Row("x", "blur", "contrastive", 1, "stopped", 2, 6, 70.0, curve=((1, 80.0), (2, 70.0)))
    other = replace(row, block=2, curve=((1, 82.0), (2, 74.0), (3, 71.0)))
    assert mean_curve([row, other]) == [(1, 81.0), (2, 72.0)]


def test_a_trial_without_a_value_is_named_by_its_outcome():
    failed = Row("contrastive blur", "blur", "contrastive", 1, "failed", 0, 6)
    figure = dot_plot(rank([failed]))
    assert ">failed<" in figure
    assert 'class="dot' not in figure
