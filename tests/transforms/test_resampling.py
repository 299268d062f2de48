"""Two warps are one map, blurs are the same on both backends, and neither moves a keypoint."""

import math

import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.training.config import PretrainConfig
from handssl.training.data_checks import require_reach
from handssl.transforms import AugmentConfig, make_views, move_points, reach_boxes
from handssl.transforms.leakage import LIMIT_R2, leak
from handssl.transforms.resampling import draw_prewarp
from handssl.transforms.views import MEAN, STD, plain_view
from tests.transforms.test_backends import assert_conform, crops_of

GEOMETRIC = ("rotate", "scale", "translate")
DOUBLE, BLUR = {"resampling": "double"}, {"view_blur_px": 1.25}
IDS = torch.arange(8) * 7919 + 2**35


def views(crops, options, composition=GEOMETRIC, *, view_px=64, context=1.75, backend="tensor"):
    config = AugmentConfig.parse(options)
    maker = make_views(
        config, composition, seed=3, view_px=view_px, context=context, backend=backend
    )
    return maker(crops, IDS[: len(crops)], epoch=1, view=0)


def grey_of(view):
    """Return the views in [0, 1], one channel."""
    return view.images[:, 0] * STD[0] + MEAN[0]


@pytest.mark.parametrize("border", ["disc", "reflect", "black"])
@pytest.mark.parametrize("options", [DOUBLE, BLUR, DOUBLE | BLUR])
def test_both_backends_make_the_same_views(options, border):
    made = [
        views(crops_of(), {**options, "border": border}, backend=backend)
        for backend in ("tensor", "opencv")
    ]
    assert_conform(*made)


@pytest.mark.parametrize("view_px", [24, 32])
def test_both_backends_filter_a_reduction_alike(view_px):
    made = [
        views(crops_of(side_px=160), {}, view_px=view_px, backend=backend)
        for backend in ("tensor", "opencv")
    ]
    assert_conform(*made)


@pytest.mark.parametrize("options", [DOUBLE, BLUR])
def test_parameters_and_maps_are_those_of_one_resampling(options):
    plain, changed = views(crops_of(), {}), views(crops_of(), options)
    assert torch.equal(changed.matrix, plain.matrix)
    assert all(torch.equal(changed.theta[name], plain.theta[name]) for name in plain.theta)
    assert not torch.equal(changed.images, plain.images)


def spots(points, side_px=112, context=1.75):
    """Return crops with one soft bright spot each, at points in box sides."""
    axis = (np.arange(side_px) + 0.5) / side_px * context - context / 2
    away = [(axis[None] - x) ** 2 + (axis[:, None] - y) ** 2 for x, y in points.tolist()]
    pixels = [np.repeat(np.exp(-each / 0.001)[None], 3, axis=0) for each in away]
    return torch.from_numpy((255.0 * np.stack(pixels)).astype(np.uint8))


@pytest.mark.parametrize("backend", ["tensor", "opencv"])
@pytest.mark.parametrize("options", [DOUBLE, BLUR, DOUBLE | BLUR])
def test_a_bright_spot_is_found_where_its_keypoint_says(options, backend):
    points = torch.rand(8, 2, generator=torch.Generator().manual_seed(1)) * 0.3 - 0.15
    view = views(spots(points), options, backend=backend)
    grey = grey_of(view).double()
    centres = (torch.arange(64).double() + 0.5) / 64 - 0.5
    found = [(grey.sum(axis) * centres).sum(1) / grey.sum((1, 2)) for axis in (1, 2)]
    expected = move_points(points[:, None].double(), view.matrix.double())[:, 0]
    assert float((torch.stack(found, 1) - expected).abs().max()) * 64 < 0.1


def test_two_warps_of_a_smooth_image_are_one_warp_of_it():
    axis = torch.arange(112) / 112 * 6.0
    smooth = 0.5 + 0.25 * torch.sin(axis)[:, None] + 0.25 * torch.cos(1.3 * axis)[None]
    crops = (255.0 * smooth).round().to(torch.uint8).expand(8, 3, -1, -1)
    once, double = (grey_of(views(crops, options)) for options in ({}, DOUBLE))
    assert float((once - double).abs().max()) * 255.0 < 2.0


def test_each_view_epoch_and_sample_has_a_second_warp_of_its_own():
    drawn = [
        draw_prewarp(IDS, seed=1, epoch=epoch, view=view)
        for epoch, view in ((1, 0), (1, 1), (2, 0), (1, {"blur": 0, "rotate": 2}))
    ]
    drawn.append(draw_prewarp(IDS, seed=1, epoch=1, view={"blur": 1, "rotate": 2}))
    angles = torch.cat([each[:, 0] for each in drawn])
    assert len(angles.unique()) == angles.numel()
    assert torch.equal(draw_prewarp(IDS[3:5], seed=1, epoch=1, view=0), drawn[0][3:5])
    many = draw_prewarp(torch.arange(4000), seed=1, epoch=1, view=0)
    bounds = torch.tensor([math.pi / 4, 0.5, 0.5])
    assert bool((many.abs() <= bounds).all())
    assert float((many / bounds).abs().mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("composition", [(), ("rotate",), GEOMETRIC])
def test_no_view_made_by_two_warps_reads_beyond_the_stated_reach(composition):
    reach = reach_boxes(AugmentConfig.parse(DOUBLE), composition, view_px=32)
    crops = torch.full((8, 3, round(40 * reach), round(40 * reach)), 255, dtype=torch.uint8)
    options = DOUBLE | {"border": "black", "translate": {"x_boxes": {"low": 0.149, "high": 0.15}}}
    made = views(crops, options, composition, view_px=32, context=reach)
    assert float(grey_of(made).min()) > 0.99


def test_a_store_too_small_for_two_warps_is_refused_with_the_remedy(blob_data):
    from handssl.data.splits import StudyData

    store = StudyData(blob_data).store("pretrain")
    context = store.manifest.context
    angle = {"angle_rad": {"low": -0.7854, "high": 0.7854}}
    reach = (context - math.sqrt(2.0)) / 2 - 1e-3
    moved = {name: {"low": -reach, "high": reach} for name in ("x_boxes", "y_boxes")}
    augmentation = {"rotate": angle, "translate": moved}
    whole = {"composition": ("rotate", "translate"), "encoder": {"input_px": 32}}
    require_reach(PretrainConfig.parse({**whole, "augmentation": augmentation}), store)
    with pytest.raises(InputError, match="pack the data with --context"):
        require_reach(PretrainConfig.parse({**whole, "augmentation": augmentation | DOUBLE}), store)


@pytest.mark.parametrize("backend", ["tensor", "opencv"])
def test_detail_too_fine_for_a_view_is_averaged_not_aliased(backend):
    """Stripes of one stored pixel are finer than a view of half as many pixels can show."""
    crops = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    crops[..., ::2] = 255
    composition = ("rotate",)
    made = views(crops, {}, composition, view_px=32, context=1.0, backend=backend)
    assert float(grey_of(made)[:, 8:24, 8:24].std()) < 0.05


def test_plain_views_of_dense_crops_are_filtered_too():
    crops = torch.zeros(1, 3, 129, 129, dtype=torch.uint8)
    crops[..., ::2] = 255
    plain = plain_view(crops, view_px=32, context=1.0)[:, 0] * STD[0] + MEAN[0]
    assert float(plain[:, 8:24, 8:24].std()) < 0.05


def test_sharpness_does_not_jump_where_a_reduction_begins():
    noise = torch.randint(0, 256, (8, 3, 128, 128), generator=torch.Generator().manual_seed(1))
    detail = [
        float(plain_view(noise.byte(), view_px=px, context=1.0).diff(dim=3).std())
        for px in (122, 123, 124, 125)
    ]
    assert max(detail) / min(detail) < 1.1


@pytest.mark.parametrize(("options", "low", "high"), [({}, 0.5, 1.0), (BLUR, -1.0, LIMIT_R2)])
def test_a_blur_of_the_view_removes_the_trace_of_the_angle(options, low, high):
    config = AugmentConfig.parse(options)
    size = {"crop_px": 72, "view_px": 48, "count": 400}
    found = leak(
        "rotate", border="reflect", images="sharp", readout="statistics", config=config, **size
    )
    assert low < found < high
