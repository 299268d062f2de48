"""Figures of effects: what stands where, read back from the drawing."""

import math
import re
from statistics import NormalDist

import pytest

from handssl.report.effects import study_effects
from handssl.report.figures.axes import WIDTH
from handssl.report.figures.effect_plot import effect_plot, half_normal
from handssl.stats.skeleton import skeleton, subsets
from tests.report.made_up import page_of
from tests.report.test_effects_of_rows import NAMES, PLANNED, grid, row


def ticks(figure):
    """Return the map from pixels of the horizontal axis to its values."""
    found = re.findall(
        r'<text x="([\d.]+)"[^>]*text-anchor="middle" class="tick">(-?[\d.]+)<', figure
    )
    (x1, v1), (x2, v2) = [(float(x), float(v)) for x, v in (found[0], found[-1])]
    return lambda x: v1 + (float(x) - x1) / (x2 - x1) * (v2 - v1)


def halved():
    rows = []
    for position, block in enumerate((1, 2)):
        whole = {tuple(sorted(c)) for c in skeleton(NAMES, 16, position)}
        rows += [row(c, block, completed=tuple(sorted(c)) in whole) for c in subsets(NAMES)]
    return rows


def test_marks_stand_at_the_effects_between_the_ends_of_both_intervals():
    found = study_effects(halved(), PLANNED)
    figure = effect_plot(found)
    mm = ticks(figure)
    marks = re.findall(r'<circle cx="([\d.]+)"', figure)
    bars = re.findall(r'<rect x="([\d.]+)"[^>]*width="([\d.]+)"', figure)
    thin = re.findall(
        r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="\2" class="pair"', figure
    )
    for one, mark, (x, width), (left, _, right) in zip(
        found.effects.values(), marks, bars, thin, strict=False
    ):
        assert mm(mark) == pytest.approx(one.mm, abs=0.02)
        assert mm(x) == pytest.approx(one.low, abs=0.02)
        assert mm(float(x) + float(width)) == pytest.approx(one.high, abs=0.02)
        assert mm(left) == pytest.approx(one.seeds_low, abs=0.02)
        assert mm(right) == pytest.approx(one.seeds_high, abs=0.02)
    assert len(marks) >= len(found.effects)


def test_a_whole_grid_has_no_bars_and_one_seed_no_lines():
    assert "<rect" not in effect_plot(study_effects(grid(1, 2), PLANNED))
    alone = effect_plot(study_effects(grid(1), PLANNED))
    assert alone.count('class="pair"') == 1  # the line at 0


def test_noise_lies_on_a_line_through_zero_and_the_largest_effect_is_named():
    quantiles = [NormalDist().inv_cdf(0.5 + 0.5 * (i + 0.5) / 31) for i in range(31)]
    figure = half_normal({f"e{i}": 0.3 * q * (-1) ** i for i, q in enumerate(quantiles)})
    points = [
        (float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', figure)
    ]
    slopes = [(310 - y) / (x - 44) for x, y in points[3:]]
    assert max(slopes) - min(slopes) < 0.02 * max(slopes)
    large = half_normal({"big:one": 5.0} | {f"e{i}": 0.3 * q for i, q in enumerate(quantiles)})
    assert ">big:one<" in large


def test_everything_lies_within_the_figures():
    found = study_effects(halved(), PLANNED)
    whole = study_effects(grid(1, 2), PLANNED)
    for figure in (effect_plot(found), effect_plot(whole), half_normal(whole.contrasts)):
        xs = [float(x) for x in re.findall(r'(?:cx|x1|x2|x)="(-?[\d.]+)"', figure)]
        assert 0 <= min(xs) <= max(xs) <= WIDTH
        assert not any(math.isnan(x) for x in xs)


def test_the_page_has_the_half_normal_plot_of_whole_grids_alone():
    assert "Half-normal plot of 31 effects" in page_of(grid(1, 2), planned=PLANNED)
    halves = page_of(halved(), planned=PLANNED)
    assert "Half-normal" not in halves
    assert "Effects of 5 transformations" in halves
