"""From 2.5D to space and back: what returns, what cannot, and which hands look like two."""

import numpy as np
import pytest
import torch

from handssl.pose import decode_2_5d, encode_2_5d, recover_root_depth
from handssl.pose.ambiguity import nearer_root_depth
from handssl.randomness import numpy_generator
from tests.reference import pose as naive

COUNT = 10_000


def turned(axis, angle):
    """Return rotations (N, 3, 3) about one axis."""
    rotation = np.tile(np.eye(3), (len(angle), 1, 1))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation[:, first, first] = rotation[:, second, second] = np.cos(angle)
    rotation[:, first, second], rotation[:, second, first] = -np.sin(angle), np.sin(angle)
    return rotation


def frontal_hands(rng):
    """Return hands whose palm or back faces the camera within 30 degrees, any turn in the image."""
    xyz, cameras = naive.random_hands(rng, 100)
    u, size, _ = np.linalg.svd(xyz - xyz[:, :1], full_matrices=False)
    flat = u * size[:, None]  # in the hand's own axes: the thinnest is depth
    rows = rng.integers(0, 100, COUNT)
    tilt = np.radians(rng.uniform(-30, 30, (2, COUNT)))
    spin = turned(2, rng.uniform(-np.pi, np.pi, COUNT))
    rotation = turned(0, tilt[0]) @ turned(1, tilt[1]) @ spin
    place = rng.uniform((-0.1, -0.1, 0.35), (0.1, 0.1, 1.0), (COUNT, 1, 3))
    return flat[rows] @ rotation.swapaxes(1, 2) + place, cameras[rows]


@pytest.fixture(scope="module", params=["any view", "frontal"])
def hands(request):
    rng = numpy_generator("test round trips", request.param)
    make = frontal_hands if request.param == "frontal" else lambda r: naive.random_hands(r, COUNT)
    return request.param, *make(rng)


def relative_error(decoded, xyz):
    return np.linalg.norm(decoded - xyz, axis=-1).max(-1) / np.linalg.norm(xyz[:, 0], axis=-1)


@pytest.mark.parametrize("bone", [(0, 9), (9, 10)])
def test_every_well_posed_hand_comes_back_from_one_of_its_solutions(hands, bone):
    kind, xyz, cameras = hands
    pose = encode_2_5d(xyz, cameras, bone=bone)
    _, well_posed = recover_root_depth(pose.uv, pose.z, cameras, bone=bone)
    nearer = nearer_root_depth(pose.uv, pose.z, cameras, bone=bone)
    given = {"scale": pose.scale, "bone": bone}
    first = relative_error(decode_2_5d(pose.uv, pose.z, cameras, **given), xyz)
    depth = nearer * pose.scale
    second = relative_error(decode_2_5d(pose.uv, pose.z, cameras, root_depth=depth, **given), xyz)
    ambiguous, back = np.isfinite(nearer), first < 1e-6
    assert np.isnan(first[~well_posed]).all()
    assert not ambiguous[~well_posed].any()
    # The farther solution is wrong for ambiguous hands only, and then the nearer one is right.
    assert back[well_posed & ~ambiguous].all()
    lost = well_posed & ~back
    assert (second[lost] < 1e-6).all()
    limit = {"any view": 0.02, "frontal": 0.002}[kind] * COUNT
    assert (~well_posed).sum() <= limit
    assert lost.sum() <= ambiguous.sum() <= limit


def test_both_depths_give_the_same_image_and_the_same_bone(hands):
    _, xyz, cameras = hands
    pose = encode_2_5d(xyz, cameras)
    nearer = nearer_root_depth(pose.uv, pose.z, cameras)
    rows = np.flatnonzero(np.isfinite(nearer))
    twins = decode_2_5d(
        pose.uv[rows], pose.z[rows], cameras[rows],
        scale=pose.scale[rows], root_depth=nearer[rows] * pose.scale[rows],
    )  # fmt: skip
    again = encode_2_5d(twins, cameras[rows])
    np.testing.assert_allclose(again.uv, pose.uv[rows], rtol=1e-9)
    np.testing.assert_allclose(again.scale, pose.scale[rows], rtol=1e-7)
    np.testing.assert_allclose(again.z, pose.z[rows], atol=1e-7)


def test_a_hand_that_would_reach_behind_the_camera_is_no_second_answer():
    xyz = np.full((2, 21, 3), (0.05, 0.0, 0.2))
    xyz[:, 9] = (0.058, 0.0, 0.11)
    xyz[1, 12] = (0.0, 0.0, 0.05)  # at the nearer depth this one is behind the camera
    pose = encode_2_5d(xyz, np.eye(3))
    nearer = nearer_root_depth(pose.uv, pose.z, np.eye(3))
    assert np.isnan(nearer).tolist() == [False, True]


def test_the_nearer_depth_of_tensors_is_that_of_arrays(hands):
    _, xyz, cameras = hands
    pose = encode_2_5d(xyz[:2000], cameras[:2000])
    expected = nearer_root_depth(pose.uv, pose.z, cameras[:2000])
    tensors = (torch.from_numpy(a) for a in (pose.uv, pose.z, cameras[:2000]))
    np.testing.assert_allclose(nearer_root_depth(*tensors).numpy(), expected, rtol=1e-9)


def test_the_arguments_are_left_as_they_were():
    uv, z = np.zeros((21, 2)), np.ones(21)
    uv[9] = (0.25, 0.0)
    nearer_root_depth(uv, z, np.eye(3))
    assert z[0] == 1.0
