"""One view tells nothing of its theta, and the test that says so can fail."""

import math

import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.transforms import REGRESSABLE, AugmentConfig, draw_theta, make_views
from handssl.transforms.config import Rotate
from handssl.transforms.interval import Interval
from handssl.transforms.leakage import LIMIT_R2, leak, read_out
from handssl.transforms.leakage_features import statistics
from handssl.transforms.leakage_images import crops_without_cues
from tests.reference import leak as naive

GEOMETRIC = [name for name in ("rotate", "translate", "scale") if name in REGRESSABLE]
SMALL = {"crop_px": 72, "view_px": 48, "count": 400}
DEFAULT = AugmentConfig().border


def views_of(name, crops, config, context=1.75, view_px=48):
    maker = make_views(config, (name,), seed=3, view_px=view_px, context=context)
    view = maker(crops, torch.arange(len(crops)), epoch=1, view=0)
    return view.images, view.theta[name][:, 1:]


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("images", ["constant", "isotropic"])
@pytest.mark.parametrize("backend", ["tensor", "opencv"])
def test_one_view_does_not_give_its_theta_away(name, images, backend):
    assert leak(name, border=DEFAULT, images=images, backend=backend, **SMALL) < LIMIT_R2


@pytest.mark.parametrize("name", GEOMETRIC)
def test_black_beyond_the_crop_gives_theta_away(name):
    told = leak(name, border="black", images="constant", context=1.0, **SMALL)
    assert told > 0.2


def test_a_corner_pixel_that_carries_theta_is_found():
    crops, _ = crops_without_cues("constant", 300, crop_px=72)
    views, theta = views_of("rotate", crops, AugmentConfig())
    assert read_out(views, theta, "pixels") < LIMIT_R2
    views = views.clone()
    views[:, :, 0, 0] += theta
    assert read_out(views, theta, "pixels") > 0.9


def test_a_sign_that_pixels_hide_is_found_by_statistics():
    """Noise of a strength that follows theta: every pixel has mean zero whatever theta is."""
    generator = torch.Generator().manual_seed(0)
    theta = torch.rand(300, 1, generator=generator)
    views = torch.randn(300, 3, 32, 32, generator=generator) * (0.1 + theta)[:, :, None, None]
    assert read_out(views, theta, "pixels") < LIMIT_R2
    assert read_out(views, theta, "statistics") > 0.9


def test_sharp_noise_tells_how_far_a_view_was_turned():
    told = leak("rotate", border=DEFAULT, images="sharp", readout="statistics", **SMALL)
    assert told > 0.5


def test_translation_is_not_shown_by_noise():
    told = leak("translate", border=DEFAULT, images="sharp", readout="statistics", **SMALL)
    assert told < LIMIT_R2


def test_a_source_that_ended_early_is_continued_by_reflection_alone():
    crops, real = crops_without_cues("isotropic", 8, crop_px=40, source_share=0.6, seed=2)
    for crop, held in zip(crops[:, 0].numpy(), real[:, 0].numpy(), strict=True):
        assert held.sum() == 24 * 40
        while not held[:, 0].all() or held[0].all():
            crop, held = np.rot90(crop), np.rot90(held)
        inside, mirrored = crop[:, 8:24].astype(float), crop[:, 24:40].astype(float)
        assert np.corrcoef(inside.ravel(), mirrored[:, ::-1].ravel())[0, 1] > 0.9


def test_isotropic_images_look_the_same_in_both_directions():
    crops, _ = crops_without_cues("isotropic", 200, crop_px=48)
    grey = crops[:, 0].double()
    across, down = (grey.diff(dim=axis).square().mean().item() for axis in (2, 1))
    diagonal = (grey[:, 1:, 1:] - grey[:, :-1, :-1]).square().mean().item()
    assert across == pytest.approx(down, rel=0.05)
    assert across < diagonal < 2 * across  # between a plane and independent pixels


def test_the_same_seed_gives_the_same_number_and_another_seed_another():
    def once(seed):
        return leak(
            "rotate", border="black", context=1.2, count=120, crop_px=48, view_px=32, seed=seed
        )

    assert once(1) == once(1) != once(2)


def test_the_read_out_is_the_best_ridge_of_its_grid():
    rng = np.random.default_rng(0)
    theta = rng.uniform(-1, 1, size=(40, 2))
    views = rng.normal(size=(40, 1, 16, 16))
    views[:, 0, 0, 0] += 3 * theta[:, 0]
    views[:, 0, 5, 7] += 3 * theta[:, 1]
    expected = naive.read_out_pixels(views, theta)
    found = read_out(torch.from_numpy(views), torch.from_numpy(theta), "pixels")
    assert found == pytest.approx(expected, abs=1e-6)


def test_statistics_of_a_flat_view_are_finite():
    assert bool(torch.isfinite(statistics(torch.zeros(2, 1, 32, 32))).all())


def test_wider_ranges_are_those_that_are_read():
    wide = AugmentConfig(rotate=Rotate(angle_rad=Interval(low=-math.pi, high=math.pi)))
    theta = draw_theta(wide, ["rotate"], torch.arange(400), seed=3, epoch=1, view=0)
    crops, _ = crops_without_cues("constant", 400, crop_px=72)
    _, found = views_of("rotate", crops, wide)
    assert torch.equal(found, theta["rotate"][:, 1:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"transformation": "sobel"}, "parameters to read"),
        ({"images": "photos"}, "images must be one of"),
        ({"readout": "network"}, "readout must be one of"),
        ({"source_share": 0.0}, "source_share"),
        ({"count": 3}, "at least 4 views"),
    ],
)
def test_nonsense_is_refused(change, words):
    arguments = {"transformation": "rotate", "border": "disc", "count": 8, "crop_px": 32}
    arguments |= change
    with pytest.raises(InputError, match=words):
        leak(arguments.pop("transformation"), view_px=32, **arguments)


def test_an_angle_told_up_to_quarter_turns_is_found():
    wide = AugmentConfig(rotate=Rotate(angle_rad=Interval(low=-math.pi, high=math.pi)))
    told = leak(
        "rotate", border="black", images="constant", config=wide, context=1.0,
        readout="structure", crop_px=72, view_px=48, count=500,
    )  # fmt: skip
    assert told > 0.5
