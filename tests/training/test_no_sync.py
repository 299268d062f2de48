"""A step asks nothing of the device: the host runs ahead of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from handssl.data.splits import StudyData
from handssl.training import Execution, PretrainConfig, Pretraining
from handssl.training.epoch_log import EpochLog
from handssl.transforms import backends

SETTLING_STEPS = 2
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
# On a GPU each of these waits for it: a value goes to Python, or a size depends on values.
_WAITING = (
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten._unique2.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.repeat_interleave.Tensor,
)
_READING = (torch.Tensor.cpu, torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.__bool__)


class NoSync(TorchDispatchMode):
    """Forbids what makes the host wait, in the backward pass and the optimizer too.

    torch's Adam counts its steps in tensors on the host, also where the weights are on a GPU.
    """

    def __init__(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        super().__init__()
        states = optimizer.state.values() if optimizer else ()
        self._hosted = {s["step"].data_ptr() for s in states if torch.is_tensor(s.get("step"))}

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masked = op is torch.ops.aten.index.Tensor and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        waits = masked or (op in _WAITING and args[0].data_ptr() not in self._hosted)
        assert not waits, f"{op} waits for the device"
        return op(*args, **(kwargs or {}))


class NoReading(TorchFunctionMode):
    """Forbids taking a tensor to the host by name, which on a CPU is no operation at all."""

    def __torch_function__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert call not in _READING, f"{call.__name__} waits for the device"
        return call(*args, **(kwargs or {}))


def config(objective: str, optimizer: str) -> PretrainConfig:
    return PretrainConfig.parse(
        {
            "epochs": 2,
            "global_batch": 8,
            "objective": objective,
            "composition": ["rotate", "translate", "color_jitter"],
            "encoder": {"width": 8, "input_px": 32},
            "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
            "optimizer": {"name": optimizer, "warmup_epochs": 1.0},
        }
    )


def steady(run: Pretraining) -> tuple[Any, EpochLog]:
    """Return the batches left after steps in which buffers and moments are made."""
    run.network.train()
    batches, log = run.batches(1), EpochLog(run.network, 1)
    for _ in range(SETTLING_STEPS):
        log.add(run.step(next(batches), 1))
    return batches, log


OBJECTIVES = ["contrastive", "relative", "supervised"]


@pytest.mark.parametrize("optimizer", ["adam", "adam_larc", "lars", "lamb"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_steady_step_brings_no_value_to_the_host(
    blob_data, objective, optimizer, monkeypatch
) -> None:
    monkeypatch.setattr(backends, "choose_backend", lambda device: "tensor")  # that of a GPU
    run = Pretraining(config(objective, optimizer), StudyData(blob_data))
    batches, log = steady(run)
    with NoReading(), NoSync(run.optimizer):
        log.add(run.step(next(batches), 1))


def test_the_guard_sees_a_value_that_is_read() -> None:
    value = torch.ones(())
    reads = [value.item, lambda: float(value), value.tolist, value.cpu, lambda: bool(value)]
    for read in reads:
        with pytest.raises(AssertionError, match="waits for the device"), NoReading(), NoSync():
            read()
    masked = torch.ones(2)
    with pytest.raises(AssertionError, match="waits for the device"), NoSync():
        masked[masked > 0]


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize("crops", ["host", "device"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_steady_step_on_a_gpu_waits_for_nothing(blob_data, objective, crops) -> None:
    execution = Execution(device="cuda", crops=crops)
    run = Pretraining(config(objective, "adam_larc"), StudyData(blob_data), execution)
    batches, log = steady(run)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        log.add(run.step(next(batches), 1))
    finally:
        torch.cuda.set_sync_debug_mode("default")
