import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.pose import decode_2_5d, encode_2_5d, recover_root_depth
from handssl.randomness import numpy_generator
from tests.reference import pose as naive

CAMERA = np.array([[500.0, 0.0, 112.0], [0.0, 480.0, 100.0], [0.0, 0.0, 1.0]])
COUNT = 10_000


@pytest.fixture(scope="module")
def hands():
    return naive.random_hands(numpy_generator("test pose25d"), COUNT)


@pytest.mark.parametrize(("root", "bone"), [(0, (0, 9)), (0, (9, 10)), (9, (0, 5)), (20, (17, 20))])
def test_encoding_equals_the_loop_over_hands(hands, root, bone):
    xyz, cameras = hands[0][:200], hands[1][:200]
    pose = encode_2_5d(xyz, cameras, root=root, bone=bone)
    assert np.all(pose.z[:, root] == 0.0)
    for i in range(200):
        uv, z, scale = naive.encode(xyz[i], cameras[i], root, bone)
        np.testing.assert_allclose(pose.uv[i], uv, rtol=1e-12)
        np.testing.assert_allclose(pose.z[i], z, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(pose.scale[i], scale, rtol=1e-13)


@pytest.mark.parametrize(("root", "bone"), [(0, (0, 9)), (0, (9, 10)), (9, (0, 5))])
def test_a_true_root_depth_gives_every_hand_back(hands, root, bone):
    xyz, cameras = hands
    pose = encode_2_5d(xyz, cameras, root=root, bone=bone)
    decoded = decode_2_5d(
        pose.uv, pose.z, cameras, scale=pose.scale, root=root, bone=bone,
        root_depth=xyz[:, root, 2],
    )  # fmt: skip
    np.testing.assert_allclose(decoded, xyz, atol=1e-13)


@pytest.mark.parametrize("bone", [(0, 9), (9, 10)])
def test_ten_thousand_hands_come_back_except_those_a_naive_solver_loses_too(hands, bone):
    """Of two hands that look alike the farther is chosen; which are lost is known by name."""
    xyz, cameras = hands
    pose = encode_2_5d(xyz, cameras, bone=bone)
    decoded = decode_2_5d(pose.uv, pose.z, cameras, scale=pose.scale, bone=bone)
    depth, well_posed = recover_root_depth(pose.uv, pose.z, cameras, bone=bone)

    lost, unsolved = [], []
    for i in range(COUNT):
        solutions = naive.root_depths(pose.uv[i].tolist(), pose.z[i].tolist(), cameras[i], bone)
        if solutions is None:
            unsolved.append(i)
            continue
        true_depth = xyz[i, 0, 2] / pose.scale[i]
        nearest = min(solutions, key=lambda solution: abs(solution - true_depth))
        if nearest == solutions[1]:
            lost.append(i)

    assert np.flatnonzero(~well_posed).tolist() == unsolved
    assert np.isnan(depth[unsolved]).all()
    assert np.isnan(decoded[unsolved]).all()
    error = np.linalg.norm(decoded - xyz, axis=-1).max(-1) / np.linalg.norm(xyz[:, 0], axis=-1)
    kept = np.setdiff1d(np.arange(COUNT), unsolved + lost)
    assert error[kept].max() < 1e-6
    assert np.all(error[lost] > 1e-6)
    assert len(unsolved) < 0.01 * COUNT
    assert len(kept) > 0.8 * COUNT


def test_noisy_poses_are_recovered_or_refused_exactly_as_by_the_loop(hands):
    xyz, cameras = hands[0][:3000], hands[1][:3000]
    rng = numpy_generator("test pose25d noise")
    pose = encode_2_5d(xyz, cameras)
    uv, z = pose.uv + rng.normal(0, 20, pose.uv.shape), pose.z + rng.normal(0, 0.5, pose.z.shape)
    decoded = decode_2_5d(uv, z, cameras, scale=pose.scale)
    expected = [
        naive.decode(uv[i].tolist(), z[i], cameras[i], pose.scale[i], 0, (0, 9))
        for i in range(len(xyz))
    ]
    refused = [hand is None for hand in expected]
    assert 50 < sum(refused) < 2000
    assert np.isnan(decoded).all(axis=(1, 2)).tolist() == refused
    solved = np.array([hand for hand in expected if hand is not None])
    np.testing.assert_allclose(decoded[~np.array(refused)], solved, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("uv_root", "uv_end", "z_end"),
    [
        pytest.param((0.0, 0.0), (0.0, 0.0), 1.0, id="both ends on one ray"),
        pytest.param((0.0, 0.0), (5e-4, 0.0), 1.0, id="nearly on one ray"),
        pytest.param((0.0, 0.0), (0.25, 0.0), 1.5, id="deeper than the bone is long"),
        pytest.param((0.0, 2.0), (0.0, -2.0), 0.99, id="only depths behind the camera"),
    ],
)
def test_a_pose_without_a_root_depth_is_nan_and_never_metres(uv_root, uv_end, z_end):
    uv, z = np.zeros((2, 21, 2)), np.zeros((2, 21))
    uv[0, 0], uv[0, 9], z[0, 9] = uv_root, uv_end, z_end
    uv[1, 9] = (0.25, 0.0)
    depth, well_posed = recover_root_depth(uv, z, np.eye(3))
    assert well_posed.tolist() == [False, True]
    assert np.isnan(depth[0]) and depth[1] == pytest.approx(4.0)
    decoded = decode_2_5d(uv, z, np.eye(3), scale=np.array([0.1, 0.1]))
    assert np.isnan(decoded[0]).all()
    assert decoded[1, 0, 2] == pytest.approx(0.4)


def test_the_depth_of_the_root_is_zero_whatever_a_network_says(hands):
    xyz, cameras = hands[0][:20], hands[1][:20]
    pose = encode_2_5d(xyz, cameras)
    noisy = pose.z.copy()
    noisy[:, 0] = [np.nan, 7.0] * 10
    expected = decode_2_5d(pose.uv, pose.z, cameras, scale=pose.scale)
    np.testing.assert_array_equal(decode_2_5d(pose.uv, noisy, cameras, scale=pose.scale), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_give_what_arrays_give_and_keep_their_dtype(hands, dtype):
    xyz, cameras = (torch.from_numpy(a[:500]).to(dtype) for a in hands)
    pose = encode_2_5d(xyz, cameras)
    depth, well_posed = recover_root_depth(pose.uv, pose.z, cameras)
    decoded = decode_2_5d(pose.uv, pose.z, cameras, scale=pose.scale, root_depth=depth * pose.scale)
    assert {a.dtype for a in (pose.uv, pose.z, pose.scale, depth, decoded)} == {dtype}
    expected = encode_2_5d(xyz.numpy(), cameras.numpy())
    tolerance = 2e-3 if dtype == torch.float32 else 1e-10
    for mine, theirs in (
        (pose.uv, expected.uv),
        (pose.z, expected.z),
        (pose.scale, expected.scale),
    ):
        assert theirs.dtype == mine.numpy().dtype
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=tolerance, atol=tolerance)
    known = recover_root_depth(expected.uv, expected.z, cameras.numpy())
    assert (well_posed.numpy() == known[1]).mean() > 0.99
    if dtype == torch.float64:
        np.testing.assert_allclose(depth.numpy(), known[0], rtol=1e-9)
        direct = decode_2_5d(pose.uv, pose.z, cameras, scale=pose.scale)
        np.testing.assert_allclose(direct.numpy(), decoded.numpy(), rtol=1e-12)


def test_leading_axes_are_free(hands):
    xyz, cameras = hands[0][:12], hands[1][:12]
    flat = encode_2_5d(xyz, cameras)
    deep = encode_2_5d(xyz.reshape(3, 4, 21, 3), cameras.reshape(3, 4, 3, 3))
    assert deep.z.shape == (3, 4, 21)
    np.testing.assert_array_equal(deep.uv.reshape(12, 21, 2), flat.uv)
    one = encode_2_5d(xyz[5], cameras[5])
    np.testing.assert_allclose(one.z, flat.z[5], rtol=1e-13)
    alone = decode_2_5d(one.uv, one.z, cameras[5], scale=float(one.scale), root_depth=0.5)
    assert alone.shape == (21, 3)
    assert alone[0, 2] == 0.5


def test_a_hand_without_extent_has_no_scale():
    pose = encode_2_5d(np.full((2, 21, 3), 0.5), CAMERA)
    assert np.isnan(pose.scale).all() and np.isnan(pose.z).all()
    assert np.isfinite(pose.uv).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uv": np.zeros((2, 20, 2))}, r"uv: expected shape \(..., 21, 2\), got \(2, 20, 2\)"),
        ({"z": np.zeros((2, 21, 1))}, r"z: expected shape \(..., 21\), got \(2, 21, 1\)"),
        ({"z": np.zeros((3, 21))}, r"uv \(2,\), z \(3,\)"),
        ({"scale": np.ones(3)}, r"uv \(2,\), scale \(3,\)"),
        ({"root_depth": np.ones(5)}, r"root_depth \(5,\)"),
        ({"camera": np.eye(2)}, "camera: expected shape"),
        ({"root": 21}, r"0 \(wrist\) to 20 \(little_tip\), got root 21"),
        ({"bone": (3, 3)}, r"bone \(3, 3\)"),
        ({"bone": (-1, 3)}, r"bone \(-1, 3\)"),
    ],
)
def test_wrong_arguments_are_refused_with_what_was_expected(changes, message):
    arguments = {"uv": np.zeros((2, 21, 2)), "z": np.zeros((2, 21)), "camera": np.eye(3)}
    with pytest.raises(InputError, match=message):
        decode_2_5d(**(arguments | {"scale": np.ones(2)} | changes))


def test_encoding_refuses_joints_that_are_not_twenty_one():
    with pytest.raises(InputError, match=r"xyz: expected shape \(..., 21, 3\), got \(21, 2\)"):
        encode_2_5d(np.zeros((21, 2)), np.eye(3))
    with pytest.raises(InputError, match="two different joints"):
        encode_2_5d(np.zeros((21, 3)), np.eye(3), bone=(0, 21))
