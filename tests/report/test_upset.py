"""The figure of compositions, read back from its SVG."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from scipy import stats

from handssl.report.figures.upset import BEST, interval_95, upset
from handssl.report.ranking import rank
from handssl.stats.skeleton import subsets
from tests.report.test_effects_of_rows import NAMES, grid, row


def columns(figure: str) -> dict[str, set[str]]:
    """Return the transformations with a filled dot for each cell, from the dots' tooltips."""
    found: dict[str, set[str]] = {}
    for kind, cell, has, name in re.findall(
        r'class="set ([\w ]+)"><title>([^:]+): (with|without) (\w+)</title>', figure
    ):
        assert (kind == "off") == (has == "without")
        found.setdefault(cell, set()).update({name} if has == "with" else ())
    return found


def test_each_column_has_the_transformations_of_its_cell():
    ranking = rank(grid(1, 2))
    found = columns(upset(ranking))
    assert len(found) == min(BEST, len(ranking.trials))
    for cell in ranking.trials[:BEST]:
        wanted = set(cell.first.composition.split("+")) - {"none"}
        assert found[cell.title] == wanted


def test_the_best_thirty_of_many_cells_are_shown_in_order_of_their_means():
    rows = [row(one, 1) for one in subsets(NAMES)]
    ranking = rank(rows)
    hints = re.findall(r'class="dot \w+"><title>([^:]+): ([\d.]+) mm', upset(ranking))
    assert len(hints) == BEST
    values = [float(mm) for _, mm in hints]
    assert values == sorted(values)
    assert hints[0][0] == ranking.trials[0].title


def test_a_tall_mean_stands_higher_than_a_low_one():
    rows = [replace(row(one, 1), median_mm=60.0 + len(one)) for one in subsets(NAMES[:3])]
    places = re.findall(r'cy="([\d.]+)" r="4.5"', upset(rank(rows)))
    ys = [float(y) for y in places]
    assert ys == sorted(ys, reverse=True)


@pytest.mark.parametrize("values", [[60.0, 62.0], [60.0, 61.5, 66.0], [1.0, 2.0, 3.0, 5.0, 8.0]])
def test_intervals_are_those_of_scipy(values):
    scale = stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / len(values), scale=scale)
    assert interval_95(values) == pytest.approx((low, high))


def test_one_block_has_no_interval():
    assert interval_95([60.0]) is None
    assert "whisker" not in upset(rank(grid(1)))
    assert "whisker" in upset(rank(grid(1, 2)))
