"""Errors of single hands and joints, against loops over them and against the logged statistics."""

import numpy as np
import pytest

from handssl.errors import InputError
from handssl.pose import OFFICIAL, PROTOCOLS, PoseLabels, Protocol, encode_2_5d, pose_metrics
from handssl.pose.hand_errors import hand_errors
from handssl.pose.skeleton import JOINT_NAMES

BOX_PX = 64.0
CAMERA = np.array([[500.0, 0.0, 112.0], [0.0, 500.0, 112.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def hands():
    """uv, z and labels of 30 hands, a few joints of them without a label."""
    random = np.random.default_rng(3)
    shape = random.uniform(-0.08, 0.08, (21, 3))
    xyz = shape + 0.01 * random.standard_normal((30, 21, 3)) + (0.0, 0.0, 0.6)
    truth = encode_2_5d(xyz, CAMERA)
    valid = random.random((30, 21)) > 0.1
    valid[:, [0, 9]] = True
    valid[4, 0] = valid[5, 9] = False  # without a root, without the bone
    labels = PoseLabels(truth.uv, xyz, CAMERA, valid, left=random.random(30) > 0.5)
    uv = truth.uv + random.normal(0.0, 4.0, truth.uv.shape)
    return uv, truth.z + random.normal(0.0, 0.1, truth.z.shape), labels


def errors(hands, protocol, **options):
    uv, z, labels = hands
    return hand_errors(uv, z, labels, box_px=BOX_PX, protocol=protocol, **options)


SINGLE = [p for p in (PROTOCOLS | OFFICIAL).values() if not p.sides]


@pytest.mark.parametrize("protocol", SINGLE, ids=lambda protocol: protocol.id)
def test_statistics_of_single_errors_are_those_of_the_protocol(hands, protocol):
    uv, z, labels = hands
    logged = pose_metrics(uv, z, labels, box_px=BOX_PX, protocols=[protocol.id])
    found = errors(hands, protocol.id)
    for name in protocol.statistics:
        unit = "" if name == "auc_50mm" else f"_{protocol.unit}"
        assert found.statistic(name) == pytest.approx(logged[f"{protocol.id}/{name}{unit}"])


def test_the_root_relative_error_of_a_joint_is_its_distance_with_both_wrists_at_the_origin(hands):
    uv, z, labels = hands
    found = errors(hands, "root_gtroot_20")
    assert found.joints == JOINT_NAMES[1:]
    for hand in range(30):
        depths = labels.xyz[hand, 0, 2] + np.where(np.arange(21) == 0, 0.0, z[hand]) * (
            np.linalg.norm(labels.xyz[hand, 0] - labels.xyz[hand, 9])
        )
        points = np.stack([(p - 112.0) / 500.0 for p in uv[hand].T] + [np.ones(21)], 1)
        points *= depths[:, None]
        for joint in range(1, 21):
            gap = (points[joint] - points[0]) - (labels.xyz[hand, joint] - labels.xyz[hand, 0])
            counts = labels.valid[hand, [0, 9, joint]].all()
            expected = 1000 * np.linalg.norm(gap) if counts else np.nan
            assert found.errors[hand, joint - 1] == pytest.approx(expected, nan_ok=True)


def test_pck_is_the_mean_over_joints_of_the_share_of_errors_up_to_the_threshold(hands):
    found, at = errors(hands, "abs_gtroot_21"), [5.0, 15.0, 30.0]
    shares = []
    for joint in range(21):
        column = [e for e in found.errors[:, joint] if not np.isnan(e)]
        shares.append([sum(e <= t for e in column) / len(column) for t in at])
    assert found.pck(at) == pytest.approx(np.mean(shares, axis=0))


def test_the_area_under_the_curve_is_that_of_its_trapezoids(hands):
    found = errors(hands, "abs_gtroot_21")
    at = np.linspace(0.0, 50.0, 100)
    assert found.auc == pytest.approx(np.trapezoid(found.pck(at), at) / 50.0)


def test_means_per_joint_and_hand_leave_out_what_does_not_count(hands):
    found = errors(hands, "root_gtroot_20")
    assert found.per_joint[3] == pytest.approx(np.nanmean(found.errors[:, 3]))
    assert found.per_hand[7] == pytest.approx(np.nanmean(found.errors[7]))
    assert np.isnan(found.per_hand[[4, 5]]).all()


def test_hands_are_ranked_by_their_mean_error_and_those_without_one_left_out(hands):
    found = errors(hands, "root_gtroot_20", ids=np.arange(30)[::-1] + 100)
    means = found.per_hand[found.ranked]
    assert len(means) == 28
    assert (np.diff(means) >= 0).all()
    assert found.ids[found.ranked[0]] == 129 - int(np.nanargmin(found.per_hand))


def test_a_protocol_and_a_statistic_defined_later_need_nothing_but_the_predictions(hands):
    # Root-relative with the wrist counted, and the share of hands with all joints within 40 mm.
    later = Protocol("later_21", "root", "truth", 21)
    found = errors(hands, later)

    def whole_hands(values, counted):
        pairs = [(row, mask) for row, mask in zip(values, counted, strict=True) if mask.any()]
        return float(np.mean([row[mask].max() <= 40.0 for row, mask in pairs]))

    naive = [np.nanmax(row) <= 40.0 for row in found.errors if not np.isnan(row).all()]
    assert found.statistic(whole_hands) == pytest.approx(np.mean(naive))
    assert (found.errors[found.counted[:, 0], 0] == 0.0).all()  # the wrist by construction
    known = errors(hands, "root_gtroot_20")
    np.testing.assert_array_equal(found.errors[:, 1:], known.errors)


@pytest.mark.parametrize(
    ("protocol", "statistic", "said"),
    [("pa21", "mean", "pa_21"), ("pa_21", "meen", "mean")],
)
def test_unknown_names_are_refused_with_the_nearest_one(hands, protocol, statistic, said):
    with pytest.raises(InputError, match=said):
        errors(hands, protocol).statistic(statistic)
