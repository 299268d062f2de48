from __future__ import annotations

import pytest

from handssl.ledger.record import EpochMetrics, TrialRecord
from handssl.report.rows import Row, row_of


def record(**changes):
    values = {
        "trial_id": "0" * 16,
        "study": "demo",
        "stage": "objectives",
        "cell": "relative rotate",
        "composition": "rotate",
        "objective": "relative",
        "block": 1,
        "outcome": "completed",
        "epoch": 2,
        "epochs": 2,
        "metrics": {"median_mm": 62.0, "mpje_mm": 67.0, "test_median_mm": 63.0},
    }
    return TrialRecord(**values | changes)


def history(*values):
    return [
        EpochMetrics(epoch=epoch, metrics={} if value is None else {"median_mm": value})
        for epoch, value in enumerate(values)
    ]


def test_a_row_takes_the_primary_measures_and_leaves_missing_ones_empty():
    row = row_of(record())
    assert (row.median_mm, row.mpje_mm, row.test_median_mm) == (62.0, 67.0, 63.0)
    assert row.test_mpje_mm is None


@pytest.mark.parametrize(
    "metrics",
    [
        {"aligned_median_mm": 28.0, "test_aligned_median_mm": 29.0},
        {"ridge/pa_21/median_mm": 28.0, "test/ridge/pa_21/median_mm": 29.0},
        {"mean/pa_21/median_mm": 28.0, "test/mean/pa_21/median_mm": 29.0},
    ],
)
def test_a_row_has_the_aligned_error_also_of_results_that_name_its_protocol_alone(metrics):
    row = row_of(record(metrics=metrics))
    assert (row.aligned_mm, row.test_aligned_mm) == (28.0, 29.0)


def test_a_row_without_an_aligned_error_leaves_it_empty():
    row = row_of(record(metrics={"median_mm": 62.0, "ridge/pa_21/mean_mm": 30.0}))
    assert (row.aligned_mm, row.test_aligned_mm) == (None, None)


def test_a_curve_leaves_out_epoch_zero_and_epochs_without_a_median():
    assert row_of(record(), history(90.0, 70.0, None, 62.0)).curve == ((1, 70.0), (3, 62.0))


@pytest.mark.parametrize(
    ("objective", "kind"),
    [("reference", "reference"), ("supervised", "reference"), ("contrastive", "trial")],
)
def test_untrained_and_supervised_rows_are_references(objective, kind):
    assert row_of(record(objective=objective)).kind == kind


def test_a_row_says_which_transformations_are_relative_and_which_data_are_not_the_studys():
    config = {"relative_on": ["rotate"]}
    label = "mixed blur+rotate (rotate) on freihand after interhand"
    row = row_of(record(cell=label, objective="mixed", composition="blur+rotate", config=config))
    assert (row.relative_on, row.data) == ("rotate", "freihand after interhand")
    assert row.settings == ""


def test_the_settings_of_a_row_are_what_its_label_says_beside_all_else():
    settings = "optimizer.lr_base=0.001 optimizer.weight_decay=1e-06"
    label = f"mixed blur+rotate (rotate) {settings} on npz"
    row = Row(label, "blur+rotate", "mixed", 1, "completed", 6, 6, data="npz", relative_on="rotate")
    assert row.settings == settings
    assert Row("relative rotate", "rotate", "relative", 1, "completed", 6, 6).settings == ""
    assert Row("mean pose", "none", "reference", 1, "completed", 0, 0).settings == ""
