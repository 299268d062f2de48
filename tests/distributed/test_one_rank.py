"""Without a process group nothing changes."""

from pathlib import Path

import pytest
import torch
from torch import nn

import handssl
from handssl.distributed import (
    gather,
    global_mean,
    rank,
    row_counts,
    sum_over_ranks,
    use_global_batch_norm,
    world_size,
)
from handssl.models import ResNet18, initialise


def test_one_process_is_rank_0_of_1():
    assert (rank(), world_size(), row_counts(3, torch.device("cpu"))) == (0, 1, [3])


def test_collectives_return_what_they_were_given():
    x = torch.randn(3, 2, requires_grad=True)
    assert gather(x) is x
    assert sum_over_ranks(x) is x


def test_the_mean_counts_what_counts():
    values = torch.tensor([1.0, 3.0, 0.0])
    assert torch.equal(global_mean(values), values.mean())
    assert float(global_mean(values, torch.tensor(2))) == 2.0
    assert float(global_mean(torch.zeros(3), torch.tensor(0))) == 0.0


def networks():
    plain, converted = ResNet18(8), ResNet18(8)
    for network in (plain, converted):
        initialise(network, seed=1)
    return plain, use_global_batch_norm(converted)


def test_a_converted_network_has_the_same_bits_as_torchs_own():
    plain, converted = networks()
    for x in torch.randn(2, 4, 3, 32, 32):
        for network in (plain, converted):
            network(x).square().sum().backward()
    for a, b in zip(plain.parameters(), converted.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)
    for (name, a), b in zip(
        plain.state_dict().items(), converted.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert torch.equal(plain.eval()(x), converted.eval()(x))


def test_conversion_keeps_modules_parameters_and_names():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm1d(4))
    parts, tensors = list(network), list(network.parameters())
    names = list(network.state_dict())
    assert use_global_batch_norm(network) is network
    assert all(a is b for a, b in zip(parts, network, strict=True))
    assert all(a is b for a, b in zip(tensors, network.parameters(), strict=True))
    assert list(network.state_dict()) == names
    assert isinstance(network[1], nn.BatchNorm2d)
    assert isinstance(network[2], nn.BatchNorm1d)


def test_conversion_twice_and_of_a_lone_module_is_fine():
    norm = use_global_batch_norm(use_global_batch_norm(nn.BatchNorm1d(2)))
    assert type(norm).__name__ == "GlobalBatchNorm1d"


def test_a_wrong_shape_is_refused_as_torch_does():
    with pytest.raises(ValueError, match="expected 4D input"):
        use_global_batch_norm(nn.BatchNorm2d(2))(torch.zeros(2, 2))


def test_torch_distributed_is_imported_in_one_package_alone():
    root = Path(handssl.__file__).parent
    users = {
        path.relative_to(root).parts[0]
        for path in root.rglob("*.py")
        if "torch.distributed"
        in path.read_text(encoding="utf-8").replace("handssl.distributed", "")
    }
    assert users == {"distributed"}
