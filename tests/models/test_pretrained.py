"""Weights of others, read from their files: the features are those of their own network."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18, resnet34, resnet50

from handssl.errors import DataError, InputError
from handssl.models import InitConfig, ResNet18
from handssl.models.initial_weights import load_initial
from handssl.models.pretrained import digest_of, read_encoder


@pytest.fixture(scope="module")
def published():
    """Torchvision's network with statistics that are not those of a new one, and its features."""
    torch.manual_seed(0)
    network = resnet18(weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def features_of(network, images):
    """Features before the classifier, by torchvision's own forward pass."""
    classifier, network.fc = network.fc, nn.Identity()
    with torch.no_grad():
        found = network(images)
    network.fc = classifier
    return found


def in_sequence(network):
    """State dict of the same modules as PeCLR stores them: a sequence called features."""
    parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    sequence = nn.Sequential(*(getattr(network, part) for part in parts))
    state = {f"encoder.features.{name}": one for name, one in sequence.state_dict().items()}
    heads = {"encoder.final_layer.0.weight": torch.zeros(64, 512)}
    return state | heads | {"projection_head.0.weight": torch.zeros(512, 512)}


FORMS = {
    "torchvision": lambda network: network.state_dict(),
    "DataParallel": lambda network: nn.DataParallel(network).state_dict(),
    "under state_dict": lambda network: {"epoch": 3, "state_dict": network.state_dict()},
    "PeCLR": lambda network: {"epoch": 99, "state_dict": in_sequence(network)},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_features_are_those_of_torchvision(form, published, images, tmp_path):
    torch.save(FORMS[form](published), tmp_path / "weights.pth")
    encoder = ResNet18(64)
    load_initial(encoder, InitConfig(weights=str(tmp_path / "weights.pth")))
    with torch.no_grad():
        found = encoder.eval()(images)
    torch.testing.assert_close(found, features_of(published, images), rtol=1e-5, atol=1e-5)


def test_the_digest_is_of_the_tensors_whatever_file_they_are_in(published, tmp_path):
    encoder, digests = ResNet18(64), set()
    for number, form in enumerate(FORMS.values()):
        torch.save(form(published), tmp_path / f"{number}.pth")
        digests.add(digest_of(read_encoder(tmp_path / f"{number}.pth", encoder)))
    save_file(published.state_dict(), tmp_path / "a.safetensors")
    digests.add(digest_of(read_encoder(tmp_path / "a.safetensors", encoder)))
    assert len(digests) == 1
    changed = {**published.state_dict()}
    changed["bn1.running_mean"] = changed["bn1.running_mean"] + 1e-6
    torch.save(changed, tmp_path / "changed.pth")
    assert digest_of(read_encoder(tmp_path / "changed.pth", encoder)) not in digests


@pytest.mark.parametrize(
    ("content", "width", "error"),
    [
        (
            lambda n: n.state_dict(),
            16,
            r"conv1.weight with the shape \(16, 3, 7, 7\).*found \(64, 3,",
        ),
        (lambda n: n.state_dict(), 16, "--set pretrain.encoder.width=64"),
        (lambda n: resnet34(weights=None).state_dict(), 64, "found layer1.2.conv1.weight too"),
        (
            lambda n: resnet50(weights=None).state_dict(),
            64,
            "found layer1.0.conv3.weight too",
        ),
        (
            lambda n: (
                {"query." + k: v for k, v in n.state_dict().items()}
                | {"key." + k: v for k, v in n.state_dict().items()}
            ),
            64,
            "expected one encoder, found 2",
        ),
        (lambda n: {"net.weight": torch.zeros(2)}, 64, "without conv1.weight"),
        (lambda n: [1, 2], 64, "found 0 tensors"),
    ],
)
def test_weights_of_another_network_are_refused(content, width, error, published, tmp_path):
    torch.save(content(published), tmp_path / "other.pth")
    with pytest.raises(InputError, match=error):
        read_encoder(tmp_path / "other.pth", ResNet18(width))


def test_a_file_with_python_objects_is_not_executed(tmp_path, published):
    class Hyperparameters:
        pass

    globals()["Hyperparameters"] = Hyperparameters
    Hyperparameters.__qualname__ = "Hyperparameters"
    state = {"state_dict": published.state_dict(), "hyper_parameters": Hyperparameters()}
    torch.save(state, tmp_path / "lightning.ckpt")
    with pytest.raises(DataError, match=re.escape("['state_dict'], 'weights.pth')`")):
        read_encoder(tmp_path / "lightning.ckpt", ResNet18(64))


def test_a_damaged_file_is_named(tmp_path, published):
    torch.save(published.state_dict(), tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    for name, damaged in {"cut.pth": content[:1000], "cut.safetensors": content[:1000]}.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DataError, match=f"{name}: expected a state dict, cannot read one"):
            read_encoder(tmp_path / name, ResNet18(64))
    with pytest.raises(InputError, match=r"missing.pth: expected a file with weights, found none"):
        read_encoder(tmp_path / "missing.pth", ResNet18(64))
    broken = {**published.state_dict(), "conv1.weight": torch.full((64, 3, 7, 7), torch.nan)}
    torch.save(broken, tmp_path / "nan.pth")
    with pytest.raises(DataError, match=r"expected finite weights, conv1.weight has others"):
        read_encoder(tmp_path / "nan.pth", ResNet18(64))
