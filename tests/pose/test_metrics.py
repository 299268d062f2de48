import numpy as np
import pytest
import torch

from handssl.errors import DivergedError, InputError
from handssl.pose import PRIMARY_PROTOCOL, PROTOCOLS, PoseLabels, encode_2_5d, pose_metrics
from handssl.randomness import numpy_generator
from tests.reference import pose as naive

CAMERA = np.array([[100.0, 0.0, 0.0], [0.0, 100.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def noisy():
    """Return predictions with a fair share of degenerate hands, and their labels."""
    rng = numpy_generator("test metrics")
    xyz, cameras = naive.random_hands(rng, 300)
    truth = encode_2_5d(xyz, cameras)
    uv = truth.uv + rng.normal(0, 15, truth.uv.shape)
    z = truth.z + rng.normal(0, 0.4, truth.z.shape)
    valid = rng.random((300, 21)) > 0.1
    valid[7] = False
    valid[8], valid[8, [0, 9]] = False, True  # too few joints to align
    return uv, z, PoseLabels(truth.uv, xyz, cameras, valid)


def flat_hand():
    """Return one hand facing the camera at one metre: its pixels are its centimetres."""
    xyz = np.zeros((1, 21, 3))
    xyz[0, :, 0] = np.arange(21) * 0.01
    xyz[0, :, 1] = (np.arange(21) % 4) * 0.01
    xyz[0, :, 2] = 1.0
    return xyz, encode_2_5d(xyz, CAMERA)


def test_every_metric_equals_the_loop_over_hands_and_joints(noisy):
    uv, z, labels = noisy
    metrics = pose_metrics(uv, z, labels, box_px=96.0)
    expected = naive.metrics(uv, z, labels.uv, labels.xyz, labels.camera, labels.valid, 96.0)
    assert metrics.keys() == expected.keys()
    assert 10 < metrics["abs_recovered_21/degenerate_count"] < 290
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, rel=1e-9), name


def test_tensors_give_what_arrays_give(noisy):
    uv, z, labels = noisy
    tensors = PoseLabels(
        *(torch.from_numpy(a) for a in (labels.uv, labels.xyz, labels.camera, labels.valid))
    )
    metrics = pose_metrics(torch.from_numpy(uv), torch.from_numpy(z), tensors, box_px=96.0)
    assert metrics == pose_metrics(uv, z, labels, box_px=96.0)
    single = pose_metrics(torch.from_numpy(uv).float(), z, labels, box_px=96.0)
    assert single["pa_21/mean_mm"] == pytest.approx(metrics["pa_21/mean_mm"], rel=1e-4)


def test_a_perfect_prediction_has_no_error_under_any_protocol():
    xyz, pose = flat_hand()
    metrics = pose_metrics(pose.uv, pose.z, PoseLabels(pose.uv, xyz, CAMERA), box_px=64)
    assert len(metrics) == 2 * len(PROTOCOLS) + 2
    assert max(metrics.values()) < 1e-9


def test_median_and_mean_are_of_the_same_pooled_errors_computed_by_hand():
    """Joints 1, 2, 3 are 1, 2 and 40 px off; at 1 m and focal length 100 px that is cm."""
    xyz, pose = flat_hand()
    uv = pose.uv.copy()
    uv[0, 1, 0] += 1.0
    uv[0, 2, 1] -= 2.0
    uv[0, 3, 0] += 40.0
    valid = np.zeros((1, 21), dtype=bool)
    valid[0, [0, 1, 2, 3, 9]] = True
    labels = PoseLabels(pose.uv, xyz, CAMERA, valid)
    metrics = pose_metrics(uv, pose.z, labels, box_px=64.0)
    # Errors of joints 1, 2, 3, 9 without, and 0, 1, 2, 3, 9 with the root.
    assert metrics["root_gtroot_20/median_mm"] == pytest.approx((10.0 + 20.0) / 2)
    assert metrics["root_gtroot_20/mean_mm"] == pytest.approx((10 + 20 + 400 + 0) / 4)
    assert metrics["abs_gtroot_21/median_mm"] == pytest.approx(10.0)
    assert metrics["abs_gtroot_21/mean_mm"] == pytest.approx((0 + 10 + 20 + 400 + 0) / 5)
    # 64 px of crop are told as 128.
    assert metrics["px_21/median_px"] == pytest.approx(2.0)
    assert metrics["px_21/mean_px"] == pytest.approx(2 * (1 + 2 + 40) / 5)


def test_a_shifted_root_moves_relative_errors_and_only_its_own_absolute_one():
    xyz, pose = flat_hand()
    uv = pose.uv.copy()
    uv[0, 0, 0] -= 3.0
    metrics = pose_metrics(uv, pose.z, PoseLabels(pose.uv, xyz, CAMERA), box_px=64.0)
    assert metrics["root_gtroot_20/median_mm"] == pytest.approx(30.0)
    assert metrics["abs_gtroot_21/median_mm"] == pytest.approx(0.0, abs=1e-9)
    assert metrics["abs_gtroot_21/mean_mm"] == pytest.approx(30.0 / 21)


def test_an_invalid_joint_changes_no_number_whatever_its_label(noisy):
    uv, z, labels = noisy
    spoiled = PoseLabels(
        np.where(labels.valid[..., None], labels.uv, np.nan),
        np.where(labels.valid[..., None], labels.xyz, 1e6),
        labels.camera,
        labels.valid,
    )
    expected = pose_metrics(uv, z, labels, box_px=96.0)
    assert pose_metrics(uv, z, spoiled, box_px=96.0) == expected
    every = PoseLabels(labels.uv, labels.xyz, labels.camera)
    assert pose_metrics(uv, z, every, box_px=96.0) != expected


def test_one_camera_may_serve_all_hands_and_the_scale_may_be_stated():
    xyz, pose = flat_hand()
    xyz, uv, z = (np.repeat(a, 3, axis=0) for a in (xyz, pose.uv, pose.z))
    scale = np.repeat(pose.scale, 3)
    stated = PoseLabels(uv, xyz, CAMERA, scale=scale)
    assert max(pose_metrics(uv, z, stated, box_px=64.0).values()) < 1e-9
    doubled = PoseLabels(uv, xyz, CAMERA, scale=2.0 * scale)
    assert pose_metrics(uv, z, doubled, box_px=64.0)["abs_recovered_21/median_mm"] > 900.0


def test_if_every_root_depth_is_degenerate_the_count_stands_alone():
    xyz, pose = flat_hand()
    uv = np.zeros_like(pose.uv)
    names = ("abs_recovered_21", "root_recovered_20")
    labels = PoseLabels(pose.uv, xyz, CAMERA)
    metrics = pose_metrics(uv, pose.z, labels, box_px=64.0, protocols=names)
    assert metrics == {f"{name}/degenerate_count": 1.0 for name in names}


def test_only_the_protocols_asked_for_are_measured(noisy):
    uv, z, labels = noisy
    some = pose_metrics(uv, z, labels, box_px=96.0, protocols=(PRIMARY_PROTOCOL,))
    every = pose_metrics(uv, z, labels, box_px=96.0)
    assert some == {
        name: every[name]
        for name in (f"{PRIMARY_PROTOCOL}/median_mm", f"{PRIMARY_PROTOCOL}/mean_mm")
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("which", ["uv", "z"])
def test_a_prediction_that_is_no_number_is_a_divergence(noisy, which, value):
    predictions = {"uv": noisy[0].copy(), "z": noisy[1].copy()}
    predictions[which][5, 3] = value
    with pytest.raises(DivergedError, match=rf"{which}: .* in 1 of 300 hands, the first at row 5"):
        pose_metrics(**predictions, labels=noisy[2], box_px=96.0)


def with_row(array, row, value):
    copy = array.copy()
    copy[row] = value
    return copy


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (r"uv: .*at least one hand, got \(0, 21, 2\)", lambda a: {"uv": a["uv"][:0]}),
        (r"uv: .*at least one hand, got \(21, 2\)", lambda a: {"uv": a["uv"][0]}),
        (r"z: expected shape \(300, 21\), got \(299, 21\)", lambda a: {"z": a["z"][1:]}),
        (r"labels.uv: .*got \(9, 21, 2\)", lambda a: {"true_uv": a["true_uv"][:9]}),
        (r"labels.xyz: .* at hand 2", lambda a: {"xyz": with_row(a["xyz"], 2, np.nan)}),
        (r"labels.camera: .*got \(5, 3, 3\)", lambda a: {"camera": a["camera"][:5]}),
        (r"labels.valid: expected bool .* got float64", lambda a: {"valid": a["z"]}),
        (r"labels.scale: .* got 0.0 at hand 3", lambda a: {"xyz": with_row(a["xyz"], 3, 0.5)}),
        (r"root_gtroot_20: .* at least one joint", lambda a: {"valid": a["valid"] & False}),
        (r"box_px: expected a positive", lambda a: {"box_px": 0.0}),
        (r"did you mean 'root_gtroot_20'", lambda a: {"protocols": ("root_gtroot_21",)}),
    ],
)
def test_labels_and_arguments_that_cannot_be_are_refused(noisy, message, change):
    uv, z, labels = noisy
    valid = np.ones((300, 21), dtype=bool)
    given = {"uv": uv, "z": z, "true_uv": labels.uv, "xyz": labels.xyz, "camera": labels.camera}
    given |= {"valid": valid, "box_px": 96.0, "protocols": (PRIMARY_PROTOCOL,)}
    given |= change(given)
    truth = PoseLabels(given["true_uv"], given["xyz"], given["camera"], given["valid"])
    options = {name: given[name] for name in ("box_px", "protocols")}
    with pytest.raises(InputError, match=message):
        pose_metrics(given["uv"], given["z"], truth, **options)


def test_the_id_of_a_protocol_says_how_many_joints_it_counts():
    assert PRIMARY_PROTOCOL in PROTOCOLS
    for name, protocol in PROTOCOLS.items():
        assert name == protocol.id
        assert name.endswith(f"_{protocol.joints}")
