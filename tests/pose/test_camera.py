import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.pose import back_project, crop_camera, move_uv, project
from handssl.randomness import numpy_generator
from tests.reference import pose as naive

CAMERA = np.array([[500.0, 0.0, 112.0], [0.0, 480.0, 100.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def hands():
    return naive.random_hands(numpy_generator("test camera"), 40)


def test_projection_equals_the_loop_over_joints(hands):
    xyz, cameras = hands
    expected = [naive.project(hand, camera) for hand, camera in zip(xyz, cameras, strict=True)]
    np.testing.assert_allclose(project(xyz, cameras), expected, rtol=1e-12)


def test_projection_works_over_any_leading_axes_and_with_one_camera_for_all(hands):
    xyz = hands[0]
    batched = project(xyz.reshape(4, 10, 21, 3), CAMERA).reshape(40, 21, 2)
    for hand, uv in zip(xyz, batched, strict=True):
        np.testing.assert_allclose(uv, project(hand, CAMERA), rtol=1e-13)


def test_rays_times_depth_give_the_points_back(hands):
    xyz, cameras = hands
    rays = back_project(project(xyz, cameras), cameras)
    np.testing.assert_allclose(rays * xyz[..., 2:], xyz, atol=1e-13)


def test_a_point_at_or_behind_the_camera_has_no_pixel():
    points = np.array([[0.1, 0.1, 0.5], [0.1, 0.1, 0.0], [0.1, 0.1, -0.5]])
    uv = project(points, CAMERA)
    assert np.isfinite(uv[0]).all()
    assert np.isnan(uv[1:]).all()


@pytest.mark.parametrize("rows", [2, 3])
def test_projecting_with_the_crop_camera_is_projecting_and_then_moving(hands, rows):
    xyz, cameras = hands
    affine = np.array([[0.5, -0.2, 7.0], [0.2, 0.5, -9.0], [0.0, 0.0, 1.0]])[:rows]
    expected = move_uv(project(xyz, cameras), affine)
    np.testing.assert_allclose(project(xyz, crop_camera(cameras, affine)), expected, rtol=1e-11)
    one = project(xyz[3], cameras[3])[5]
    by_hand = (0.5 * one[0] - 0.2 * one[1] + 7.0, 0.2 * one[0] + 0.5 * one[1] - 9.0)
    np.testing.assert_allclose(expected[3, 5], by_hand, rtol=1e-12)


def test_each_image_may_have_its_own_affine_map(hands):
    xyz, cameras = hands
    maps = np.tile(np.eye(3), (40, 1, 1))
    maps[:, 0, 2] = np.arange(40)
    shift = project(xyz, crop_camera(cameras, maps)) - project(xyz, cameras)
    np.testing.assert_allclose(shift[..., 0], np.tile(np.arange(40.0)[:, None], 21), atol=1e-9)
    np.testing.assert_allclose(move_uv(np.zeros((40, 21, 2)), maps)[:, 3, 0], np.arange(40.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_give_what_arrays_give_and_keep_their_dtype(hands, dtype):
    xyz, cameras = (torch.from_numpy(a).to(dtype) for a in hands)
    affine = torch.tensor([[0.5, 0.0, 7.0], [0.0, 0.5, -9.0]], dtype=dtype)
    uv = project(xyz, crop_camera(cameras, affine))
    rays = back_project(uv, crop_camera(cameras, affine))
    assert uv.dtype == rays.dtype == dtype
    expected = project(hands[0], crop_camera(hands[1], affine.double().numpy()))
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(uv.numpy(), expected, rtol=tolerance, atol=tolerance)
    assert project(hands[0].astype(np.float32), hands[1]).dtype == np.float32


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        (np.zeros((3, 3)), "invertible"),
        (np.full((3, 3), np.nan), "finite"),
        (CAMERA.T, "last row"),
        (np.eye(4), r"camera: expected shape \(..., 3, 3\), got \(4, 4\)"),
        (np.stack([CAMERA] * 3), r"xyz \(2,\), camera \(3,\)"),
        ([["a"]], "float32 or float64"),
        ([[1.0], [1.0, 2.0]], "unequal lengths"),
    ],
)
def test_an_impossible_camera_is_refused(camera, message):
    with pytest.raises(InputError, match=message):
        project(np.ones((2, 21, 3)), camera)


def test_an_impossible_affine_map_is_refused():
    with pytest.raises(InputError, match=r"affine: expected shape \(..., 2, 3\), got \(2, 2\)"):
        crop_camera(CAMERA, np.eye(2))
    with pytest.raises(InputError, match=r"affine: .*last row"):
        move_uv(np.zeros((21, 2)), np.ones((3, 3)) + np.eye(3))


def test_half_precision_is_refused_rather_than_rounded():
    with pytest.raises(InputError, match="float16"):
        project(np.ones((21, 3), dtype=np.float16), CAMERA)
