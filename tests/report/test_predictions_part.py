"""Intervals over seeds and hands, PCK, joints and single hands on the page of a study."""

import base64
import re
import shutil

import cv2
import numpy as np
import pytest
import torch

from handssl.data.splits import StudyData
from handssl.evaluation import evaluate_predictions
from handssl.evaluation.targets import as_columns, pose_targets
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.pose.skeleton import JOINT_NAMES
from handssl.report.predictions.cells import predicted_cells
from handssl.report.predictions.hands import chosen_hands, hands_figure, shown_part
from handssl.report.predictions.intervals import cell_intervals
from handssl.report.predictions.joint_errors import joint_figure, mean_per_joint
from handssl.report.predictions.part import predictions_part
from handssl.report.predictions.pck import auc, pck_curve, pck_figure
from handssl.report.rows import row_of
from handssl.report.study_report import StudyReport
from handssl.training.kept_predictions import keep_in

SEEDS = (1, 2, 3)
# Standard deviation of the noise of each cell's predictions, in box sides and bone lengths.
CELLS = {"relative rotate": 0.04, "contrastive <b>": 0.06, "random encoder": 0.12}


def predictions_of(data, cell, seed):
    noise = torch.Generator().manual_seed(seed)
    found = {}
    for name in ("select", "test"):
        truth = as_columns(pose_targets(data.store(name)))
        found[name] = truth + CELLS[cell] * torch.randn(truth.shape, generator=noise)
    return found


@pytest.fixture(scope="module")
def study(blob_data, tmp_path_factory):
    """A report of two cells and a reference in three seeds, with predictions of known errors."""
    storage = tmp_path_factory.mktemp("storage")
    Ledger(storage).all()
    (storage / "stores").mkdir()
    (storage / "stores" / "one").symlink_to(blob_data)
    data, records = StudyData(blob_data), []
    for number, cell in enumerate(CELLS):
        for seed in SEEDS:
            columns = predictions_of(data, cell, seed)
            name = f"{number:08x}{seed:08x}"
            keep_in(storage / "trials" / name, data)(columns)
            objective, _, composition = cell.partition(" ")
            reference = cell == "random encoder"
            records.append(
                TrialRecord(
                    trial_id=name,
                    study="s",
                    stage="cells",
                    cell=cell,
                    composition="none" if reference else composition,
                    objective="reference" if reference else objective,
                    block=seed,
                    outcome="completed",
                    epoch=0 if reference else 6,
                    epochs=0 if reference else 6,
                    metrics=evaluate_predictions(columns, data, prefix="ridge"),
                    tags={"data_labelled": f"blobs {data.fingerprint}"},
                )
            )
    return StudyReport(
        "s", storage, "sqlite:///mlflow.db", tuple(records), tuple(map(row_of, records))
    )


@pytest.fixture(scope="module")
def cells(study):
    return predicted_cells(study)


def test_cells_are_in_the_order_of_the_table_and_references_apart(cells):
    assert [cell.name for cell in cells.cells] == ["relative rotate", "contrastive <b>"]
    assert [cell.name for cell in cells.references] == ["random encoder"]
    assert cells.note == ""


def test_the_error_is_the_mean_over_seeds_of_the_logged_medians(study, cells):
    found = cell_intervals(cells, study.storage, resamples=200)
    for one, cell in zip(found, CELLS, strict=True):
        logged = [r.metrics["test_median_mm"] for r in study.records if r.cell == cell]
        assert one.error.mm == pytest.approx(np.mean(logged), abs=0.1)
        low, high = one.error.both
        assert low < one.error.hands[0] < one.error.mm < one.error.hands[1] < high
        assert one.error.seed_count == 3


def test_differences_to_the_best_are_paired_by_seed_and_hand(study, cells):
    best, other, random = cell_intervals(cells, study.storage, resamples=200)
    assert best.difference is None
    for one in (other, random):
        assert one.difference.mm == pytest.approx(one.error.mm - best.error.mm)
        assert one.difference.both[0] > 0.0


def test_resampled_statistics_are_cached_and_a_damaged_file_is_computed_again(
    study, cells, monkeypatch
):
    first = cell_intervals(cells, study.storage, resamples=150)
    files = sorted((study.storage / "bootstrap").glob("*.npy"))
    files[0].write_bytes(files[0].read_bytes()[:90])
    assert cell_intervals(cells, study.storage, resamples=150) == first
    monkeypatch.setattr(
        "handssl.report.predictions.intervals.resampled", lambda *_: pytest.fail("not cached")
    )
    assert cell_intervals(cells, study.storage, resamples=150) == first


def test_a_storage_that_cannot_be_written_has_the_same_intervals(study, cells, tmp_path):
    (tmp_path / "bootstrap").write_text("no folder")
    assert cell_intervals(cells, tmp_path, resamples=50) == cell_intervals(
        cells, study.storage, resamples=50
    )


def test_curves_of_pck_are_means_over_seeds_and_joints_with_their_area(cells):
    cell = cells.cells[0]
    errors = np.stack([one.errors for one in cell.errors])  # seeds, hands, joints
    at = np.linspace(0.0, 50.0, 100)
    naive = [np.mean(errors <= mm) for mm in at]
    np.testing.assert_allclose(pck_curve(cell), naive)
    assert auc(cell) == pytest.approx(np.trapezoid(naive, at) / 50.0)
    drawn = pck_figure(cells)
    for one in (*cells.cells, *cells.references):
        assert f"{auc(one):.3f}" in drawn
    assert "<b>" not in drawn and "&lt;b&gt;" in drawn
    assert drawn.count("<polyline") == 3


def test_every_joint_that_counts_has_its_error_on_the_drawn_hand(cells):
    cell = cells.cells[0]
    means = mean_per_joint(cell)
    assert np.isnan(means[0])  # the wrist is the origin
    naive = np.mean([np.nanmean(one.errors, axis=0) for one in cell.errors], axis=0)
    np.testing.assert_allclose(means[1:], naive)
    drawn = joint_figure(cell)
    for name, mm in zip(JOINT_NAMES[1:], means[1:], strict=True):
        assert f"{name}: {mm:.1f} mm" in drawn


def test_best_median_and_worst_hands_are_those_by_mean_error(cells):
    cell = cells.cells[0]
    means = cell.errors[0].errors.mean(axis=1)
    order = np.argsort(means)
    chosen = chosen_hands(cell, of_each=2)
    assert [kind for kind, _ in chosen] == ["best", "median", "worst"] * 2
    assert [row for kind, row in chosen if kind == "best"] == order[:2].tolist()
    assert [row for kind, row in chosen if kind == "worst"] == order[::-1][:2].tolist()
    assert [row for kind, row in chosen if kind == "median"] == order[11:13].tolist()


def test_hands_show_their_crop_and_both_skeletons(study, cells):
    cell = cells.cells[0]
    drawn = hands_figure(cell)
    assert drawn.count('class="skeleton true"') == drawn.count('class="skeleton predicted"') == 120
    encoded = re.findall(r"data:image/jpeg;base64,([\w+/=]+)", drawn)
    assert len(encoded) == 6
    _, row = chosen_hands(cell)[0]
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(encoded[0]), np.uint8), cv2.IMREAD_COLOR)
    crop = cell.trials[0].labels("test").crops(np.array([row]))[0].permute(1, 2, 0).numpy()
    low, side = shown_part(cell.trials[0].labels("test"))
    part = crop[low : low + side, low : low + side]
    expected = cv2.resize(part, shown.shape[:2], interpolation=cv2.INTER_CUBIC)
    assert np.abs(shown[..., ::-1].astype(int) - expected).mean() < 12
    assert len(drawn) < 150_000


def test_a_true_joint_is_drawn_where_its_label_is(cells):
    cell = cells.cells[0]
    _, row = chosen_hands(cell)[0]
    split = cell.trials[0].labels("test")
    low, side = shown_part(split)
    x, y = (split.label("uv")[row][0] + 0.5 - low) * 200 / side
    first = re.search(
        r'<line x1="([\d.]+)" y1="([\d.]+)"[^>]*class="skeleton true"', hands_figure(cell)
    )
    assert (float(first[1]), float(first[2])) == pytest.approx((x, y), abs=0.01)


def test_the_part_has_table_figures_and_no_markup_of_names(study):
    part = predictions_part(study)
    assert part.count("<table") == 1 and part.count("<figure>") == 3
    assert "24 hands" in part or "24 groups" in part
    assert "<b>" not in part


def test_a_study_without_any_predictions_says_so_in_one_sentence(study, tmp_path):
    Ledger(tmp_path).all()
    elsewhere = StudyReport("s", tmp_path, study.tracking_uri, study.records, study.rows)
    part = predictions_part(elsewhere)
    assert part.count("<p") == 1 and "<figure" not in part and "<table" not in part
    assert "predictions make --storage" in part


def test_cells_that_lack_some_are_left_out_and_counted(study, tmp_path):
    storage = tmp_path / "copy"
    shutil.copytree(study.storage, storage, symlinks=True)
    (storage / "trials" / study.records[3].trial_id / "predictions.npz").unlink()
    partly = StudyReport("s", storage, study.tracking_uri, study.records, study.rows)
    found = predicted_cells(partly)
    assert [cell.name for cell in found.cells] == ["relative rotate"]
    assert found.note.startswith("1 trial has no predictions")
    assert "1 trial has no predictions" in predictions_part(partly)


def test_without_the_store_of_the_labels_the_part_names_what_is_missing(study, tmp_path):
    Ledger(tmp_path).all()
    shutil.copytree(study.storage / "trials", tmp_path / "trials")
    alone = StudyReport("s", tmp_path, study.tracking_uri, study.records, study.rows)
    assert "blobs" in predictions_part(alone)


def test_a_report_away_from_the_storage_gives_no_advice_to_make_them(study, tmp_path):
    away = StudyReport("s", tmp_path, study.tracking_uri, study.records, study.rows)
    part = predictions_part(away)
    assert "does not hold the predictions" in part
    assert "predictions make" not in part


def test_a_study_in_which_nothing_has_finished_has_no_such_part(tmp_path):
    assert predictions_part(StudyReport("s", tmp_path, "sqlite:///mlflow.db")) == ""
