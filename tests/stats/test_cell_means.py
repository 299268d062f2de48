"""Means of cells that lack blocks, against least squares by another library."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from handssl.report.layout import lay_out
from handssl.report.rows import Row
from handssl.report.sections import sections
from handssl.stats.cell_means import adjusted_means, connected_sets
from handssl.study.cell import Cell
from handssl.study.stages.findings import Finding, best_cell

APART = {"a": {1: 80.0, 2: 81.0}, "b": {1: 79.0, 2: 83.0}, "c": {3: 60.0, 4: 61.0}}


def test_means_are_those_of_a_linear_model_of_cells_and_blocks():
    rng = np.random.default_rng(5)
    values = {
        cell: {block: float(rng.normal(80 + n, 2)) for block in range(5) if (n + block) % 4}
        for n, cell in enumerate("abcdef")
    }
    rows = [(c, b, y) for c, by_block in values.items() for b, y in by_block.items()]
    fitted = ols("y ~ C(cell) + C(block)", pd.DataFrame(rows, columns=["cell", "block", "y"])).fit()
    for cell, mm in adjusted_means(values).items():
        everywhere = fitted.predict(pd.DataFrame({"cell": cell, "block": range(5)}))
        assert mm == pytest.approx(everywhere.mean(), abs=1e-8)


def test_cells_without_a_chain_of_common_blocks_are_not_ranked_against_each_other():
    assert connected_sets(APART) == (("a", "b"), ("c",))
    assert adjusted_means(APART).keys() == {"a", "b"}


def test_a_chain_of_common_blocks_connects():
    chain = {"a": {1: 80.0, 2: 81.0}, "b": {2: 79.0, 3: 83.0}, "c": {3: 60.0, 4: 61.0}}
    assert connected_sets(chain) == (("a", "b", "c"),)
    assert adjusted_means(chain).keys() == set("abc")


def test_a_hard_block_that_two_of_three_sets_share_is_seen_through_the_chain():
    # c is 1 mm better than b in the block of both, b 2 mm better than a: block effects fall out.
    chain = {"a": {1: 80.0}, "b": {1: 78.0, 2: 178.0}, "c": {2: 177.0}}
    means = adjusted_means(chain)
    assert means["a"] - means["b"] == pytest.approx(2)
    assert means["b"] - means["c"] == pytest.approx(1)


def test_the_choice_of_a_stage_names_the_cells_that_it_could_not_compare():
    cells = {
        name: Cell(composition=(own,), objective="contrastive")
        for name, own in zip("abc", ("blur", "cutout", "noise"), strict=True)
    }
    findings = [
        Finding(cells[name], block, "completed", 6, mm)
        for name, by_block in APART.items()
        for block, mm in by_block.items()
    ]
    best, reason = best_cell(findings)
    assert best == cells["a"]
    assert reason.endswith("; not compared, without a common block: contrastive noise")


def test_a_report_does_not_rank_them_and_says_why():
    rows = [
        Row(f"contrastive {name}", name, "contrastive", block, "completed", 6, 6, median_mm=mm)
        for name, by_block in APART.items()
        for block, mm in by_block.items()
    ]
    (section,) = sections(rows)
    assert [cell.name for cell in section.ranking.finished] == ["a", "b"]
    assert section.ranking.apart == ("contrastive c",)
    assert "no chain of common blocks connects" in lay_out(section).note
