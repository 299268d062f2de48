"""A step that does not fit into memory says what to change."""

from __future__ import annotations

import pytest
import torch

from handssl.data.splits import StudyData
from handssl.errors import InputError
from handssl.training import Execution, PretrainConfig, Pretraining
from handssl.training.memory import asked_bytes

VALUES = {
    "epochs": 2,
    "global_batch": 16,
    "objective": "relative",
    "composition": ["rotate"],
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
}
CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has ...")
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 3145728 bytes. Error code 12 (Cannot allocate memory)"
)


def failing(run: Pretraining, error: Exception) -> None:
    def fail(module: torch.nn.Module, inputs: object) -> None:
        raise error

    run.encoder.register_forward_pre_hook(fail)


@pytest.mark.parametrize(
    ("error", "asked"), [(CUDA, "2.5 GiB"), (CPU, "3.0 MiB")], ids=["gpu", "cpu"]
)
def test_an_allocator_error_in_a_step_names_the_batch_and_what_to_change(
    blob_data, error, asked
) -> None:
    run = Pretraining(PretrainConfig.parse(VALUES), StudyData(blob_data))
    failing(run, error)
    with pytest.raises(InputError) as caught:
        run.train_epoch(1)
    message = str(caught.value)
    assert f"one tensor needed {asked}" in message
    assert "global_batch 16 is 32 views a step on 1 worker(s) in 1 pass(es)" in message
    assert "memory of cpu (" in message
    assert "--precision bf16" in message
    assert "--set pretrain.accumulation=2; accumulation changes which samples" in message
    assert message.endswith("the trial gets another identity")


def test_what_is_in_use_already_is_not_offered(blob_data) -> None:
    config = PretrainConfig.parse(VALUES | {"accumulation": 8})
    run = Pretraining(config, StudyData(blob_data), Execution(device="cpu", precision="bf16"))
    failing(run, CPU)
    with pytest.raises(InputError) as caught:
        run.train_epoch(1)
    assert "bf16" not in str(caught.value)
    assert "--set" not in str(caught.value)  # two images in each pass are the least


def test_a_trial_that_shares_its_gpu_is_asked_to_share_it_with_fewer(blob_data) -> None:
    execution = Execution(device="cpu", sharing=4)
    run = Pretraining(PretrainConfig.parse(VALUES), StudyData(blob_data), execution)
    failing(run, CUDA)
    with pytest.raises(InputError) as caught:
        run.train_epoch(1)
    assert "(--trials-per-gpu 2, here 4), more workers (--workers)" in str(caught.value)


def test_other_errors_of_a_step_stay_what_they_are(blob_data) -> None:
    run = Pretraining(PretrainConfig.parse(VALUES), StudyData(blob_data))
    failing(run, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match=r"^shapes differ$"):
        run.train_epoch(1)


def test_an_amount_that_is_not_named_is_unknown() -> None:
    assert asked_bytes("CUDA error: out of memory") is None


def test_an_allocation_that_is_impossible_is_recognised(blob_data) -> None:
    run = Pretraining(PretrainConfig.parse(VALUES), StudyData(blob_data))

    def ask(module: torch.nn.Module, inputs: object) -> None:
        torch.empty(2**50, dtype=torch.uint8)  # more than any process can address

    run.encoder.register_forward_pre_hook(ask)
    with pytest.raises(InputError, match=r"one tensor needed 1048576\.0 GiB"):
        run.train_epoch(1)
