"""Encoders, heads and initial weights."""

import pytest
import torch
from torchvision.models import resnet18

from handssl.models import RelativeHead, ResNet18, initialise, mlp


def test_at_width_64_the_encoder_is_torchvisions_resnet_18():
    reference = resnet18()
    ours = ResNet18(64)
    weights = {k: v for k, v in reference.state_dict().items() if not k.startswith("fc")}
    ours.load_state_dict(weights)
    reference.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    ours.eval(), reference.eval()
    with torch.no_grad():
        assert torch.allclose(ours(images), reference(images), atol=1e-5)


@pytest.mark.parametrize("width", [8, 16])
def test_the_width_factor_scales_the_features(width):
    assert ResNet18(width)(torch.zeros(2, 3, 32, 32)).shape == (2, 8 * width)


def test_initial_weights_are_a_function_of_seed_and_name():
    one, same, other = ResNet18(8), ResNet18(8), ResNet18(8)
    initialise(one, seed=3)
    initialise(same, seed=3)
    initialise(other, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def test_a_module_added_beside_the_encoder_leaves_its_initial_weights_alone():
    alone = torch.nn.ModuleDict({"encoder": ResNet18(8)})
    beside = torch.nn.ModuleDict({"head": mlp(4, 4, 4), "encoder": ResNet18(8)})
    initialise(alone, seed=1)
    initialise(beside, seed=1)
    for a, b in zip(alone["encoder"].parameters(), beside["encoder"].parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_prefix_names_an_encoder_as_if_it_sat_in_a_trial():
    alone, inside = ResNet18(8), torch.nn.ModuleDict({"encoder": ResNet18(8)})
    initialise(alone, seed=1, prefix="encoder")
    initialise(inside, seed=1)
    assert torch.equal(alone.conv1.weight, inside["encoder"].conv1.weight)


def test_initial_convolutions_have_the_deviation_of_their_fan_out():
    model = ResNet18(64)
    initialise(model, seed=1)
    conv = model.layer3[0].conv2
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert bool((model.bn1.weight == 1).all())
    assert bool((model.bn1.bias == 0).all())


def test_a_relative_head_reads_both_views_and_returns_theta():
    head = RelativeHead(dim=6, hidden=8, outputs=4).eval()
    a, b = torch.randn(5, 6), torch.randn(5, 6)
    assert head(a, b).shape == (5, 4)
    assert not torch.allclose(head(a, b), head(b, a))
