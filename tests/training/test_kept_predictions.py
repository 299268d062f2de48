"""The last predictions of trials and references: one small file, exact up to half precision."""

import numpy as np
import pytest
import torch

from handssl.data.splits import StudyData
from handssl.errors import DataError, InterruptedStudyError, TakenOverError
from handssl.evaluation import evaluate_predictions, references
from handssl.evaluation.config import ProbeConfig
from handssl.evaluation.predictions import FILE, HAND_BYTES, TrialPredictions, decode
from handssl.evaluation.probe import crop_pixels, protocol_metrics, with_suffix
from handssl.evaluation.targets import as_columns, from_columns, pose_targets
from handssl.models import EncoderConfig
from handssl.pose import OFFICIAL, PROTOCOLS, PoseLabels, Protocol
from handssl.pose.comparison import Comparison
from handssl.runtime.fencing import Fence
from handssl.training import PretrainConfig, Trial
from handssl.training.kept_predictions import keep_in

SMALL = {
    "composition": ["rotate"],
    "epochs": 2,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
}
CONFIG = PretrainConfig.parse(SMALL)


@pytest.fixture(scope="module")
def data(blob_data):
    return StudyData(blob_data)


@pytest.fixture(scope="module")
def finished(blob_data, tmp_path_factory):
    """The folder of a finished trial, and the metrics of its last epoch."""
    folder = tmp_path_factory.mktemp("trials") / "whole"
    return folder, list(Trial(CONFIG, blob_data, folder).epochs())[-1].metrics


def kept(folder):
    return decode((folder / FILE).read_bytes())


def errors_of(predictions, split, protocols):
    found = protocol_metrics(predictions.columns, split, protocols)
    return with_suffix(found, ProbeConfig().suffix(split.manifest.boxes))


def bound_mm(split, columns):
    """Upper bound of the change of every root-relative error by half precision, (N, 21).

    A joint is (depth of the wrist + scale z) x ray, with ray = inverse camera x (u, v, 1). Rounding
    moves z by e_z and u, v by e_u, e_v (pixels), so the joint by at most
    scale e_z |ray| + (depth + scale e_z) |inverse camera x (e_u, e_v, 0)|, and the error by that
    plus the movement of the wrist.
    """
    step = np.maximum(np.abs(columns.numpy()) * 2.0**-11, 2.0**-25)
    pixels = split.box_px
    e_uv, e_z = step[:, :42].reshape(-1, 21, 2) * pixels, step[:, 42:].copy()
    e_z[:, 0] = 0.0  # the wrist's own depth is given, its prediction is not used
    xyz, camera = split.label("xyz"), split.label("camera")
    scale = np.linalg.norm(xyz[:, 0] - xyz[:, 9], axis=-1)[:, None]
    uv = crop_pixels(columns[:, :42].reshape(-1, 21, 2), split).numpy()
    inverse = np.linalg.inv(camera)[:, None]
    ones = np.ones((*uv.shape[:2], 1))
    ray = (inverse @ np.concatenate((uv, ones), -1)[..., None])[..., 0]
    turn = (np.abs(inverse) @ np.concatenate((e_uv, 0 * ones), -1)[..., None])[..., 0]
    depth = np.abs(xyz[:, :1, 2] + scale * columns[:, 42:].numpy()) + scale * e_z
    depth[:, 0] = xyz[:, 0, 2]
    moved = scale * e_z * np.linalg.norm(ray, axis=-1) + depth * np.linalg.norm(turn, axis=-1)
    return 1000.0 * (moved + moved[:, :1])


def predictions_of(data, seed=0):
    """Predictions about as wrong as those of a probe, as the probe gives them."""
    noise = torch.Generator().manual_seed(seed)
    found = {}
    for name in ("select", "test"):
        truth = as_columns(pose_targets(data.store(name)))
        found[name] = truth + 0.08 * torch.randn(truth.shape, generator=noise)
    return found


def test_the_file_has_126_bytes_a_hand_and_the_ids(finished, data):
    folder, _ = finished
    hands = len(data.store("select")) + len(data.store("test"))
    assert HAND_BYTES == 126 + 8
    assert 0 < (folder / FILE).stat().st_size - HAND_BYTES * hands < 2500


def test_any_program_that_reads_numpy_archives_opens_it(finished, data):
    with np.load(finished[0] / FILE, allow_pickle=False) as file:
        for name in ("select", "test"):
            count = len(data.store(name))
            assert file[f"{name}_uv"].shape == (count, 21, 2)
            assert file[f"{name}_z"].dtype == file[f"{name}_uv"].dtype == np.float16
            assert file[f"{name}_ids"].tolist() == data.store(name).ids.tolist()
        assert str(file["data"]) == data.labelled.manifest.fingerprint


def test_errors_from_the_file_are_those_logged_within_the_bound_of_half_precision(finished, data):
    folder, logged = finished
    for name, one in kept(folder).splits.items():
        split, head = data.store(name), "test/" if name == "test" else ""
        most = bound_mm(split, one.columns)[:, 1:].max()
        assert most < 0.3
        for statistic, value in errors_of(one, split, ["root_gtroot_20"]).items():
            # A median and a mean move by no more than the values do.
            assert abs(value - logged[f"{head}ridge/{statistic}"]) <= most, statistic


def test_every_protocol_can_be_computed_from_the_file(finished, data):
    folder, logged = finished
    split = data.store("test")
    found = errors_of(kept(folder).splits["test"], split, [*PROTOCOLS, *OFFICIAL])
    for name, value in found.items():
        assert value == pytest.approx(logged[f"test/ridge/{name}"], rel=0.01, abs=0.02), name


def test_no_error_of_a_joint_moves_by_more_than_the_bound(data):
    split = data.store("select")
    exact = predictions_of(data)["select"].double()
    rounded = TrialPredictions.of({"select": exact}, data).splits["select"].columns

    def errors(columns):
        uv, z = from_columns(columns)
        labels = PoseLabels(*(split.label(name) for name in ("uv", "xyz", "camera", "valid")))
        hands = Comparison(
            crop_pixels(uv, split).numpy(), z.numpy(), labels.checked(len(uv)), split.box_px
        )
        return hands.errors(PROTOCOLS["root_gtroot_20"])[0]

    moved, most = np.abs(errors(rounded) - errors(exact)), bound_mm(split, exact)
    assert (moved <= most).all()
    assert moved.max() > 0.005  # the bound is not for nothing
    assert np.median(moved) < 0.05


def test_a_round_trip_changes_no_bit_and_equal_predictions_give_equal_files(data):
    first = TrialPredictions.of(predictions_of(data), data)
    content = first.encode()
    again = decode(content)
    for name, one in first.splits.items():
        for part in ("uv", "z", "ids"):
            np.testing.assert_array_equal(getattr(one, part), getattr(again.splits[name], part))
    assert again.encode() == TrialPredictions.of(predictions_of(data), data).encode() == content


def test_predictions_beyond_half_precision_stay_finite(data):
    far = {"select": torch.full((len(data.store("select")), 63), 1e8)}
    assert np.isfinite(TrialPredictions.of(far, data).splits["select"].columns.numpy()).all()


@pytest.mark.parametrize("place", [0, 200, 1500, -30])
def test_a_damaged_file_is_noticed(finished, place):
    content = bytearray((finished[0] / FILE).read_bytes())
    content[place] ^= 0xFF
    try:
        found = decode(bytes(content), where="here")
    except DataError as error:
        assert "here: expected the predictions of a trial" in str(error)
    else:  # the flipped bit is in a part of the archive that means nothing
        assert found.encode() == kept(finished[0]).encode()


@pytest.mark.parametrize("stops", [1, 5])
def test_a_trial_that_was_stopped_and_continued_has_the_same_file(
    blob_data, finished, tmp_path, stops
):
    steps = iter(range(stops))
    with pytest.raises(InterruptedStudyError):
        list(Trial(CONFIG, blob_data, tmp_path).epochs(must_stop=lambda: next(steps, None) is None))
    assert not (tmp_path / FILE).exists()
    list(Trial(CONFIG, blob_data, tmp_path).epochs())
    assert (tmp_path / FILE).read_bytes() == (finished[0] / FILE).read_bytes()


def test_killed_between_the_predictions_and_the_checkpoint_it_writes_the_same_file_again(
    blob_data, finished, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("handssl.training.trial.save_weights", interrupt)
        list(Trial(CONFIG, blob_data, tmp_path).epochs())
    (tmp_path / FILE).write_bytes(b"of the attempt before")
    list(Trial(CONFIG, blob_data, tmp_path).epochs())
    assert (tmp_path / FILE).read_bytes() == (finished[0] / FILE).read_bytes()


def interrupt(*arguments, **options):
    raise KeyboardInterrupt


def test_a_complete_trial_whose_file_is_missing_gets_the_same_one(blob_data, finished):
    folder, _ = finished
    before = (folder / FILE).read_bytes()
    (folder / FILE).unlink()
    list(Trial(CONFIG, blob_data, folder).epochs())
    assert (folder / FILE).read_bytes() == before


def test_of_several_ranks_only_the_first_writes(blob_data, tmp_path, monkeypatch):
    monkeypatch.setattr("handssl.training.trial.rank", lambda: 1)
    list(Trial(CONFIG, blob_data, tmp_path).epochs())
    assert not (tmp_path / FILE).exists()


def test_a_process_that_has_lost_the_trial_writes_nothing(data, tmp_path):
    old, new = (Fence(tmp_path, token) for token in "ab")
    assert old.take() and new.take()
    with pytest.raises(TakenOverError):
        keep_in(tmp_path, data, old)(predictions_of(data))
    assert not (tmp_path / FILE).exists()
    keep_in(tmp_path, data, new)(predictions_of(data))
    assert kept(tmp_path).splits.keys() == {"select", "test"}


KINDS = ("mean_pose", "mean_pose_true_angle", "rgb_ridge", "hog_ridge", "random_encoder")


@pytest.mark.parametrize("kind", KINDS)
def test_every_reference_keeps_the_predictions_that_its_errors_are_of(data, tmp_path, kind):
    config = EncoderConfig(width=8, input_px=32)
    keep = keep_in(tmp_path, data)
    logged = references.measure_reference(kind, config, data, seed=1, keep=keep)
    columns = {name: one.columns for name, one in kept(tmp_path).splits.items()}
    found = evaluate_predictions(columns, data, prefix="kept")
    for name in ("median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm"):
        assert found[name] == pytest.approx(logged[name], abs=0.3)


def test_a_protocol_defined_later_can_be_computed(finished, data, monkeypatch):
    later = Protocol("later_21", "root", "truth", 21, statistics=("joint_median",))
    monkeypatch.setitem(PROTOCOLS, later.id, later)
    columns = kept(finished[0]).splits["test"].columns
    found = protocol_metrics(columns, data.store("test"), [later.id])
    assert found["later_21/joint_median_mm"] > 0
