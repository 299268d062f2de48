"""Both backends make the same views, within the tolerances of the design (decision 4)."""

import threading

import cv2
import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.randomness import normal_field, normal_fields
from handssl.transforms import (
    TRANSFORMATIONS,
    AugmentConfig,
    ViewMaker,
    appearance,
    choose_backend,
    make_views,
    opencv_appearance,
)
from handssl.transforms.opencv import OpenCvViewMaker
from handssl.transforms.opencv_warp import pixel_matrices
from handssl.transforms.warp import move_points
from tests.reference import fields as naive

STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def config(border="reflect", probability=1.0):
    chances = {name: {"probability": probability} for name in TRANSFORMATIONS}
    return AugmentConfig.model_validate({**chances, "border": border})


def crops_of(count=8, side_px=96, seed=0):
    """Smooth colourful images with edges: patches of colour, a little blurred."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, side_px // 8, side_px // 8, 3), dtype=np.uint8)
    images = [
        cv2.GaussianBlur(
            cv2.resize(s, (side_px, side_px), interpolation=cv2.INTER_NEAREST), (0, 0), 1
        )
        for s in small
    ]
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())


def both(composition, crops, *, view_px=64, border="reflect", probability=1.0, epoch=1):
    ids = torch.arange(len(crops)) * 7919 + 2**35
    return [
        make_views(
            config(border, probability),
            tuple(composition),
            seed=3,
            view_px=view_px,
            context=1.5,
            backend=backend,
        )(crops, ids, epoch=epoch, view=0)
        for backend in ("tensor", "opencv")
    ]


def assert_conform(tensor, opencv):
    levels = ((tensor.images - opencv.images) * STD).abs()[:, :, 2:-2, 2:-2] * 255.0
    assert float(levels.mean()) < 1.5
    assert float((levels.amax(1) <= 16.0).float().mean()) >= 0.999
    points = torch.rand(len(levels), 21, 2) - 0.5
    moved = [move_points(points, view.matrix) for view in (tensor, opencv)]
    assert float((moved[0] - moved[1]).abs().max()) * tensor.images.shape[-1] < 0.05
    assert all(torch.equal(tensor.theta[name], opencv.theta[name]) for name in tensor.theta)


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_each_transformation_alone_is_the_same_view_on_both_backends(transformation):
    assert_conform(*both([transformation], crops_of()))


def test_the_empty_composition_is_the_same_view_on_both_backends():
    assert_conform(*both([], crops_of()))


@pytest.mark.parametrize("border", ["disc", "reflect", "black"])
def test_every_border_is_the_same_with_all_transformations(border):
    assert_conform(*both(TRANSFORMATIONS, crops_of(), border=border, probability=0.5))


@pytest.mark.parametrize(("crop_px", "view_px"), [(97, 63), (75, 51), (48, 64), (64, 128)])
def test_odd_sizes_and_enlargement_are_the_same(crop_px, view_px):
    composition = ("rotate", "translate", "color_jitter", "blur")
    assert_conform(*both(composition, crops_of(side_px=crop_px), view_px=view_px))


def test_a_batch_of_one_is_the_same_and_equals_its_row_of_a_larger_batch():
    crops = crops_of()
    views = both(TRANSFORMATIONS, crops[:1], probability=0.5)
    assert_conform(*views)
    larger = both(TRANSFORMATIONS, crops, probability=0.5)[1]
    assert torch.equal(views[1].images[0], larger.images[0])


def test_pixels_differ_little_more_than_by_rounding_without_colour():
    tensor, opencv = both(["rotate", "translate"], crops_of())
    levels = ((tensor.images - opencv.images) * STD * 255.0).abs()[:, :, 2:-2, 2:-2]
    # OpenCV before 5 counts positions in 32nds of a pixel, hence not 0.5.
    assert float(levels.max()) < 8.0


@pytest.mark.parametrize("hue", [-0.5, -0.3, 0.0, 0.2, 0.5])
@pytest.mark.parametrize("gains", [(-3.0, -1.0, 0.3), (0.7, 0.4, -0.1), (3.0, 0.0, 0.0)])
def test_colour_agrees_over_the_whole_range_of_its_parameters(hue, gains):
    image = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    theta = torch.tensor([[hue, *gains]])
    planes = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float() / 255.0
    expected = appearance.color_jitter(planes, theta)[0].permute(1, 2, 0).numpy() * 255.0
    found = opencv_appearance.color_jitter(image, theta[0].tolist())
    assert np.abs(found - expected).max() < 1.5


@pytest.mark.parametrize("sigma_px", [0.0, 0.1, 0.3, 0.7, 1.0, 1.6, 2.0])
def test_blur_keeps_the_brightness_and_agrees_for_every_sigma(sigma_px):
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    planes = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].double()
    sigma_px = sigma_px / 2.0  # half the pixels, half the sigma
    expected = appearance.blur(planes, torch.tensor([[sigma_px / 64]]).double())[0]
    found = opencv_appearance.blur(image.copy(), [sigma_px / 64]).transpose(2, 0, 1)
    assert np.abs(found - expected.numpy()).max() < 3.0
    flat = np.full((64, 64, 3), 201, np.uint8)
    assert np.array_equal(opencv_appearance.blur(flat, [sigma_px / 64]), flat)


@pytest.mark.parametrize(
    "parameters", [(0.3, 0.5, 0.5, 0.2), (1.0, 0.0, 1.0, 1.0), (0, 0.5, 0.5, 0)]
)
def test_cutout_covers_the_same_pixels(parameters):
    image = np.full((33, 33, 3), 77, np.uint8)
    planes = torch.full((1, 3, 33, 33), 77.0 / 255.0).double()
    expected = appearance.cutout(planes, torch.tensor([parameters]).double())[0] * 255.0
    found = opencv_appearance.cutout(image, parameters).transpose(2, 0, 1)
    assert np.abs(found - expected.numpy()).max() <= 0.5


def test_color_drop_is_the_luma_on_three_channels():
    image = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    grey = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    found = opencv_appearance.color_drop(image, [])
    assert np.abs(found - grey[:, :, None]).max() < 0.6


def test_the_pixel_matrix_maps_centre_to_centre_and_corner_to_corner():
    identity = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    (matrix,) = pixel_matrices(identity, view_px=64, crop_px=96, context=1.5)
    np.testing.assert_allclose(matrix @ [31.5, 31.5, 1.0], [47.5, 47.5])
    np.testing.assert_allclose(matrix @ [0.0, 0.0, 1.0], [16.0, 16.0])


def test_memory_layout_of_the_crops_does_not_matter():
    crops = crops_of(2)
    planar, packed = (
        both(TRANSFORMATIONS, c)[1] for c in (crops, crops.to(memory_format=torch.channels_last))
    )
    assert torch.equal(planar.images, packed.images)


@pytest.mark.parametrize("name", ["color_jitter", "blur", "sobel", "color_drop", "noise"])
def test_results_do_not_depend_on_where_in_memory_an_image_lies(name):
    image = np.random.default_rng(1).integers(0, 256, (63, 63, 3), dtype=np.uint8)
    parameters = {"color_jitter": (0.1, 0.7, 0.4, 0.1), "blur": (1.7 / 63,), "noise": (0.1,)}

    def change(pixels):
        if name == "noise":
            return opencv_appearance.noise(pixels, parameters[name], 5, key=1)
        return opencv_appearance.CHANGES[name](pixels, parameters.get(name, ()))

    expected = change(image.copy())
    place = np.empty(image.size + 64, np.uint8)
    for start in range(0, 64, 5):
        moved = place[start : start + image.size].reshape(image.shape)
        moved[:] = image
        assert np.array_equal(change(moved), expected)


def test_crops_are_left_as_they_are():
    crops = crops_of(4, side_px=64)
    packed = crops.to(memory_format=torch.channels_last)
    both(TRANSFORMATIONS, packed)
    assert torch.equal(packed, crops)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_nothing(threads):
    before, opencv_before = torch.get_num_threads(), cv2.getNumThreads()
    crops = crops_of(13)
    expected = both(TRANSFORMATIONS, crops, probability=0.5)[1].images
    torch.set_num_threads(threads)
    try:
        found = both(TRANSFORMATIONS, crops, probability=0.5)[1].images
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found, expected)
    assert cv2.getNumThreads() == opencv_before


def test_no_thread_outlives_a_batch():
    both(TRANSFORMATIONS, crops_of(13))
    alive = threading.active_count()
    both(TRANSFORMATIONS, crops_of(13))
    assert threading.active_count() == alive


def test_fields_equal_plain_integers_on_the_host_and_as_tensors():
    key, ids = 0xF123456789ABCDEF, [0, 5, 2**40 + 3, 2**63 - 1]
    rows = normal_fields(torch.tensor(ids), 37, key)
    for sample_id, row in zip(ids, rows.numpy(), strict=True):
        np.testing.assert_array_equal(row, normal_field(sample_id, 37, key))
        np.testing.assert_allclose(row, naive.normal_field(sample_id, 37, key), atol=2e-4)


def test_fields_are_standard_normal_and_independent_of_their_neighbours():
    field = normal_fields(torch.arange(64), 4096, key=9).double()
    assert abs(float(field.mean())) < 0.01
    assert float(field.var()) == pytest.approx(1.0, abs=0.01)
    assert float((field**4).mean()) == pytest.approx(3.0, abs=0.06)
    assert abs(float((field[:, 1:] * field[:, :-1]).mean())) < 0.01
    assert abs(float((field[1:] * field[:-1]).mean())) < 0.01


def test_longer_fields_begin_with_the_shorter_ones():
    assert np.array_equal(normal_field(4, 100, key=2)[:33], normal_field(4, 33, key=2))


def test_the_host_takes_opencv_and_accelerators_take_tensors():
    assert (choose_backend("cpu"), choose_backend("cuda:0")) == ("opencv", "tensor")
    makers = [
        make_views(config(), (), seed=1, view_px=32, context=1.5, device=device)
        for device in ("cpu", "cuda")
    ]
    assert [type(maker) for maker in makers] == [OpenCvViewMaker, ViewMaker]


def test_unknown_backends_and_crops_elsewhere_are_refused():
    with pytest.raises(InputError, match="backend must be one of auto, tensor, opencv"):
        make_views(config(), (), seed=1, view_px=32, context=1.5, backend="kornia")
    maker = OpenCvViewMaker(config(), (), 1, 32, 1.5)
    crops, ids = torch.empty(1, 3, 8, 8, device="meta"), torch.arange(1)
    with pytest.raises(InputError, match="on the host"):
        maker.render(crops, {}, torch.eye(2, 3)[None], ids, key=1)
