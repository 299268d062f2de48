"""Diagnostics beside errors: what was asked of features, and what it goes with."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from handssl.ledger.record import TrialRecord
from handssl.report.diagnostics.answers import diagnosis
from handssl.report.formats.markdown import markdown
from handssl.report.rows import row_of
from tests.report.made_up import page_of, report_of

# Error in mm and equivariance to rotate of each cell, before the noise of its seed.
CELLS = {
    ("relative", "rotate"): (60.0, 0.9),
    ("relative", "rotate+translate"): (61.0, 0.8),
    ("mixed", "blur+rotate"): (63.0, 0.7),
    ("contrastive", "rotate"): (70.0, 0.05),
    ("contrastive", "blur+rotate"): (71.0, 0.0),
    ("contrastive", "blur"): (72.0, -0.1),
    ("contrastive", "translate"): (69.0, 0.1),
    ("contrastive", "blur+translate"): (68.0, 0.2),
}


def record(cell, seed, mm, r2, invariance=0.5):
    objective, composition = cell
    label = "random encoder" if objective == "reference" else " ".join(cell)
    values = {"equivariance_r2/rotate": r2, "invariance/rotate": invariance}
    return TrialRecord(
        trial_id=f"{abs(hash((cell, seed))) % 16**12:012x}",
        **{"study": "s", "stage": "cells", "cell": label, "composition": composition},
        **{"objective": objective, "block": seed, "outcome": "completed"},
        epoch=0 if objective == "reference" else 6,
        epochs=0 if objective == "reference" else 6,
        metrics={"median_mm": mm, **{f"diag/{k}": v for k, v in values.items()}},
        config={"relative_on": ["rotate"]} if objective == "mixed" else {},
    )


def study(seeds=(1, 2, 3), sign=1.0):
    records = [record(("reference", "none"), seed, 76.0, 0.02 * seed, 0.3) for seed in seeds]
    for (objective, name), (mm, r2) in CELLS.items():
        for seed in seeds:
            invariance = 0.9 if objective == "contrastive" and "rotate" in name else 0.4
            noise = 0.03 * math.sin(17 * seed + len(name) + mm)
            cell = (objective, name)
            records.append(record(cell, seed, sign * (mm - 66) + 66, r2 + noise, invariance))
    return report_of(map(row_of, records), records=tuple(records))


def test_cells_that_regress_a_transformation_became_equivariant_to_it():
    found = diagnosis(study())
    equivariant, invariant = found.properties
    assert (equivariant.measure, equivariant.transformation) == ("equivariance_r2", "rotate")
    assert equivariant.cells == 3  # two relative ones and the mixed one
    assert equivariant.asked == pytest.approx(0.8, abs=0.03)
    assert equivariant.random == pytest.approx(0.04)
    assert equivariant.word == "yes"
    assert (invariant.measure, invariant.cells, invariant.word) == ("invariance", 2, "yes")
    assert invariant.others == pytest.approx(0.4)


def test_features_that_are_no_more_equivariant_than_untrained_ones_are_undecided_or_worse():
    found = study()
    lost = [
        one.model_copy(update={"metrics": one.metrics | {"diag/equivariance_r2/rotate": value}})
        for one in found.records
        for value in [0.0 if one.objective != "reference" else 0.02 * (one.block - 2)]
    ]
    assert diagnosis(replace(found, records=tuple(lost))).properties[0].word == "undecided"
    worse = [
        one.model_copy(update={"metrics": one.metrics | {"diag/equivariance_r2/rotate": -0.5}})
        if one.objective != "reference"
        else one
        for one in found.records
    ]
    assert diagnosis(replace(found, records=tuple(worse))).properties[0].word == "no"


@pytest.mark.parametrize(("sign", "word"), [(1.0, "lower error"), (-1.0, "higher error")])
def test_more_equivariant_cells_with_lower_errors_are_said_to_go_with_lower_errors(sign, word):
    one = diagnosis(study(sign=sign)).correlations[0]
    assert (one.word, one.found.cell_count, one.found.seed_count) == (word, 8, 3)


def test_one_seed_decides_nothing_about_features():
    found = diagnosis(study(seeds=(1,)))
    assert {one.word for one in (*found.properties, *found.correlations)} == {"undecided"}
    assert "one seed" in page_of(study((1,)).rows, records=study((1,)).records)


def test_a_study_without_diagnostics_has_no_such_section(rows):
    assert diagnosis(report_of(rows)) is None
    assert "Features:" not in page_of(rows)


def test_page_markdown_and_json_have_the_answers():
    found = study()
    text = page_of(found.rows, records=found.records)
    assert "Features: what was asked for, and the error" in text
    assert text.count("rank correlation with the error (below 0: lower error)") == 1
    assert "equivariance R2 to rotate where asked for: 0.8" in markdown(found)
    values = diagnosis(found).values()
    assert values["properties"][0]["word"] == "yes"
    assert len(values["correlations"][0]["other_cells"]) == 2
