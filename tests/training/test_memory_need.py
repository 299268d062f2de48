"""What a step is said to need of a GPU's memory, against what passes on this machine keep."""

from __future__ import annotations

import pytest
import torch

from handssl.models import build_encoder
from handssl.training import Execution, PretrainConfig
from handssl.training.memory_need import kept_bytes, step_bytes

SMALL = {"encoder": {"width": 16, "input_px": 64}}


def measured(config: PretrainConfig, views: int, precision: str) -> int:
    """Return what a real pass keeps, by the addresses of what it saves."""
    encoder, kept = build_encoder(config.encoder).train(), {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    images = torch.rand(views, 3, config.encoder.input_px, config.encoder.input_px)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        held = encoder(images.contiguous(memory_format=torch.channels_last))
    for parameter in encoder.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    del held
    return sum(kept.values())


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("float32", torch.float32)]
)
def test_what_shapes_say_is_what_a_pass_keeps(precision, dtype):
    config = PretrainConfig.parse(SMALL)
    # The difference of two batches: autocast's own copies of the weights are there once.
    real = measured(config, 24, precision) - measured(config, 8, precision)
    with torch.device("meta"):
        encoder = build_encoder(config.encoder).train().to(dtype)
    said = kept_bytes(encoder, config.encoder.input_px, 24)
    said -= kept_bytes(encoder, config.encoder.input_px, 8)
    assert said == pytest.approx(real, rel=0.03)


def test_the_papers_steps_take_many_gigabytes():
    config = PretrainConfig()  # ResNet-18, 128 px, 2,048 images
    contrastive, mixed = (step_bytes(config, draws) for draws in (2, 4))
    # 3.9 MB are kept of a view.
    assert 4096 * 3.9e6 < contrastive < 1.6 * 4096 * 3.9e6
    assert mixed == pytest.approx(2 * contrastive, rel=0.06)
    assert step_bytes(config, 2, "float32") > 1.5 * contrastive


def test_passes_and_workers_divide_a_step():
    config = PretrainConfig()
    passes = config.model_copy(update={"accumulation": 4})
    assert step_bytes(passes, 4) == step_bytes(config, 4, workers=4) < step_bytes(config, 2)


def test_an_encoder_that_needs_real_memory_is_unknown():
    values = {"encoder": {"name": f"{__name__}:peeking"}}
    assert step_bytes(PretrainConfig.parse(values), 2) is None


def peeking(config):
    """Look at values, which the meta device has none of."""

    class Peeking(torch.nn.Module):
        dim = 4

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            means = x.mean((2, 3))
            return self.layer(means if float(means.sum()) > 0 else -means)

    return Peeking()


@pytest.mark.parametrize(
    ("sharing", "size_gb", "beside_gb", "kept"),
    [(1, 40, 22, True), (4, 10, 5, True), (4, 13, 5, False), (4, 10, 12, False), (1, 50, 0, False)],
)
def test_resident_crops_take_a_part_of_what_a_trial_may_have(
    monkeypatch, sharing, size_gb, beside_gb, kept
):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (79 * 10**9, 80 * 10**9))
    execution, device = Execution(sharing=sharing), torch.device("cuda")
    assert execution.keeps_on(device, size_gb * 10**9, beside_gb * 10**9) is kept


def test_what_neighbours_have_taken_already_is_not_counted_twice(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (20 * 10**9, 80 * 10**9))
    assert Execution(sharing=4).keeps_on(torch.device("cuda"), 11 * 10**9)
    assert not Execution(sharing=2).keeps_on(torch.device("cuda"), 13 * 10**9)
