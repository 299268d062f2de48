"""Diagnostics of an encoder on packed data: what is measured, and that nothing else changes."""

import copy
import math

import pytest
import torch
from torch import nn

from handssl.data.splits import StudyData
from handssl.errors import InputError
from handssl.evaluation import random_encoder
from handssl.evaluation.diagnostics import (
    diagnose,
    encoded_views,
    keypoint_measures,
)
from handssl.evaluation.diagnostics.passes import Passes, quarter_turns_of
from handssl.evaluation.features import frozen, settle_batch_norm
from handssl.evaluation.probe import fit_probe
from handssl.models import EncoderConfig, ResNet18, initialise
from handssl.transforms import (
    REGRESSABLE,
    TRANSFORMATIONS,
    AugmentConfig,
    draw_theta,
    move_points,
    plain_view,
)

CONFIG = AugmentConfig()
GEOMETRIC = [name for name in ("rotate", "scale", "translate") if name in TRANSFORMATIONS]


class Pixels(nn.Module):
    """Features are the image averaged to 8 x 8 cells; counts what passes through it."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        return nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)


@pytest.fixture
def data(blob_data):
    return StudyData(blob_data)


@pytest.fixture
def encoder(data):
    model = ResNet18(8)
    initialise(model, seed=1)
    settle_batch_norm(model, data.store("pretrain"), view_px=32, batch=16)
    return model


def passes(encoder, data, split="select", **changes):
    settings = {"augmentation": CONFIG, "view_px": 32, "seed": 1, "images": 24} | changes
    return Passes(encoder, data.store(split), **settings)


def run(encoder, data, **changes):
    settings = {"augmentation": CONFIG, "view_px": 32, "seed": 1} | changes
    return diagnose(encoder, data, **settings)


def test_every_measure_is_there_and_finite(data, encoder):
    probe, _ = fit_probe(encoder, data, view_px=32)
    metrics = run(encoder, data, probe=probe)
    expected = {
        f"diag/{measure}/{name}"
        for name in TRANSFORMATIONS
        for measure in ("invariance", "cosine_within", "cosine_between", "alignment")
    }
    expected |= {f"diag/equivariance_r2/{name}" for name in REGRESSABLE}
    expected |= {f"diag/keypoint_gap_px/{name}" for name in GEOMETRIC}
    expected |= {f"diag/keypoint_unmoved_px/{name}" for name in GEOMETRIC}
    measures = ("uniformity", "effective_rank", "dead_share", "keypoint_own_px")
    expected |= {f"diag/{measure}/none" for measure in measures}
    expected |= {"diag/quarter_turn_accuracy/rotate"}
    assert set(metrics) == expected
    assert all(math.isfinite(value) for value in metrics.values())


def test_without_a_probe_keypoints_are_left_out(data, encoder):
    metrics = run(encoder, data)
    assert metrics
    assert not [name for name in metrics if "keypoint" in name]


def test_frozen_means_that_statistics_modes_and_gradients_stay(data, encoder):
    encoder.train()
    encoder.bn1.eval()
    before = copy.deepcopy(encoder.state_dict())
    run(encoder, data)
    assert encoder.training
    assert not encoder.bn1.training
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert torch.is_grad_enabled()


def test_modes_are_restored_also_after_an_error(encoder):
    encoder.train()
    with pytest.raises(ValueError, match="broken"), frozen(encoder):
        raise ValueError("broken")
    assert encoder.training


def test_no_state_of_torchs_generator_is_used(data, encoder):
    before = torch.random.get_rng_state()
    first = run(encoder, data)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(5)
    assert run(encoder, data) == first


def test_draws_do_not_depend_on_the_batch_size(data):
    whole, parts = (passes(Pixels(), data, batch=batch) for batch in (24, 5))
    for name in TRANSFORMATIONS:
        a, b = whole.view(name, 0), parts.view(name, 0)
        assert torch.equal(a.theta[name], b.theta[name])
        assert torch.equal(a.matrix, b.matrix)
        assert torch.allclose(a.features, b.features, atol=1e-6)
    assert torch.equal(whole.quarter_turns()[1], parts.quarter_turns()[1])


def test_a_transformation_is_applied_to_every_view_and_views_differ(data):
    for name in TRANSFORMATIONS:
        first, second = (passes(Pixels(), data).view(name, number) for number in (0, 1))
        assert list(first.theta) == [name]
        assert bool((first.theta[name][:, 0] == 1.0).all())
        assert name in ("color_drop", "sobel") or not torch.equal(
            first.theta[name], second.theta[name]
        )


def test_draws_are_not_those_of_training(data):
    found = passes(Pixels(), data).view("rotate", 0).theta["rotate"]
    ids = data.store("select").ids
    for epoch in range(3):
        trained = draw_theta(CONFIG, ["rotate"], ids, seed=1, epoch=epoch, view=0)["rotate"]
        assert not torch.equal(found, trained)


@pytest.mark.parametrize("images", [8, 20, 256])
def test_the_number_of_encoded_images_is_bounded_and_as_stated(data, images):
    encoder = Pixels()
    run(encoder, data, images=images)
    if images <= 24:
        assert encoder.seen == encoded_views(images)
    assert encoder.seen <= encoded_views(48)


def test_fewer_images_are_spread_over_the_split(data):
    assert passes(Pixels(), data, images=6).chosen.tolist() == [0, 4, 8, 12, 16, 20]
    assert passes(Pixels(), data, images=99).chosen.tolist() == list(range(24))


def test_a_quarter_turn_shows_the_upright_view_turned(data):
    looking = passes(nn.Flatten(), data)
    with torch.no_grad():
        features, turns = looking.quarter_turns()
    crops = data.store("select").crops(looking.chosen)
    plain = plain_view(crops, view_px=32, context=1.75)
    shown = features.reshape(-1, 3, 32, 32)
    assert set(turns.tolist()) == {0, 1, 2, 3}
    for image, upright, turn in zip(shown, plain, turns.tolist(), strict=True):
        # Positive angles go from x to y, which is clockwise on the screen.
        turned = torch.rot90(upright, -turn, (1, 2))
        assert float((image - turned).abs().mean()) < 0.03


def test_quarter_turns_are_drawn_evenly():
    counts = torch.bincount(quarter_turns_of(torch.arange(4000), seed=3), minlength=4)
    assert int(counts.min()) > 900


def test_sobel_is_measured_against_the_untransformed_image(data):
    metrics = run(Pixels(), data)
    assert metrics["diag/invariance/sobel"] < 0.9
    assert metrics["diag/invariance/blur"] > metrics["diag/invariance/sobel"]


def test_a_blind_encoder_tells_nothing_and_one_of_pixels_drops_noise_first(data):
    class Blind(Pixels):
        def forward(self, images):
            return torch.ones(len(images), 4)

    seen, blind = run(Pixels(), data), run(Blind(), data)
    assert blind["diag/equivariance_r2/translate"] < 0.05
    assert blind["diag/dead_share/none"] == 1.0
    assert blind["diag/effective_rank/none"] == 0.0
    assert seen["diag/invariance/noise"] > seen["diag/invariance/rotate"]


def test_a_perfectly_equivariant_prediction_has_no_gap(data):
    view = passes(Pixels(), data).view("rotate", 0)
    plain = torch.rand(24, 21, 2, generator=torch.Generator().manual_seed(1)) - 0.5
    moved = (plain - view.matrix[:, None, :, 2]) @ view.matrix[:, :, :2]
    measures = keypoint_measures(plain, moved, view.matrix)
    assert measures["keypoint_gap_px"] == pytest.approx(0.0, abs=1e-4)
    assert measures["keypoint_unmoved_px"] > 1.0


def test_an_encoder_and_probe_that_follow_the_image_have_no_gap(data, monkeypatch):
    """The encoder is told where the box lies, so that a linear probe can follow exactly."""
    truth = torch.rand(24, 21, 2, generator=torch.Generator().manual_seed(2)) - 0.5
    plain = torch.cat((truth.flatten(1), torch.zeros(24, 21)), 1)
    original = Passes.view

    def follow(self, name, number):
        made = original(self, name, number)
        moved = move_points(truth, made.matrix)
        columns = torch.cat((moved.flatten(1), torch.zeros(24, 21)), 1)
        return type(made)(columns, made.theta, made.matrix)

    class Probe:
        def predict(self, features):
            return features

    monkeypatch.setattr(Passes, "plain", lambda _self: plain)
    monkeypatch.setattr(Passes, "view", follow)
    metrics = run(Pixels(), data, probe=Probe(), images=24)
    for name in GEOMETRIC:
        assert metrics[f"diag/keypoint_gap_px/{name}"] == pytest.approx(0.0, abs=1e-4)
        assert metrics[f"diag/keypoint_unmoved_px/{name}"] > 1.0


def test_the_random_encoder_of_a_block_is_diagnosed_too_and_repeats(data):
    config = EncoderConfig(width=8, input_px=32)
    first, again, other = (
        random_encoder(config, data, seed=seed, augmentation=CONFIG) for seed in (1, 1, 2)
    )
    assert first == again
    names = {name for name in first if name.startswith("diag/")}
    assert {"diag/equivariance_r2/rotate", "diag/keypoint_gap_px/rotate"} <= names
    assert first["diag/effective_rank/none"] != other["diag/effective_rank/none"]


def test_too_few_images_are_refused_with_what_to_do(data):
    with pytest.raises(InputError, match=r"at least 8 images .* got 4; raise images"):
        run(Pixels(), data, images=4)
