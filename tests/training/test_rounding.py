"""Repeats of a trial for the noise floor: the same mathematics, rounded otherwise."""

from __future__ import annotations

import json

import pytest
import torch

from handssl.data.splits import StudyData
from handssl.study.identity import trial_id
from handssl.training import Execution, PretrainConfig, Pretraining, Trial
from handssl.training.machine_file import machine_of, note_machine
from handssl.training.network import initial_network
from handssl.training.rounding import rounding_of

SMALL = {
    "epochs": 3,
    "global_batch": 16,
    "composition": ["rotate", "translate"],
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
}
OBJECTIVES = {
    "contrastive": {},
    "relative": {},
    "mixed": {"relative_on": ["rotate"]},
    "supervised": {},
}


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def config(objective="contrastive", **changes):
    values = {**SMALL, "objective": objective, **OBJECTIVES[objective], **changes}
    return PretrainConfig.parse(values)


def weights(repeat):
    network = initial_network(config(noise_repeat=repeat), "float32")
    return dict(network.named_parameters())


def test_four_repeats_in_a_row_have_all_combinations_of_threads_and_order():
    assert len({rounding_of(repeat) for repeat in range(1, 5)}) == 4
    assert {rounding_of(repeat).threads for repeat in range(1, 9)} == {1, 2}


def test_initial_weights_differ_by_a_unit_in_the_last_place():
    trial, one, two = (weights(repeat) for repeat in (0, 1, 2))
    for name, weight in trial.items():
        step = (one[name] - weight).abs()
        assert bool((step <= 1e-6 * weight.abs()).all()), name  # 1e-7 times at most ten sigma
    kernel = "encoder.conv1.weight"
    changed = (one[kernel] != trial[kernel]).float().mean()
    assert 0.3 < changed < 1.0
    assert not torch.equal(one[kernel], two[kernel])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_repeat_has_the_first_loss_of_the_trial_but_for_rounding(objective, blob_data):
    # Later losses differ more: that training amplifies rounding is what repeats measure.
    data, exact = StudyData(blob_data), Execution(device="cpu", precision="float64")
    losses = []
    for repeat in range(4):
        run = Pretraining(config(objective, noise_repeat=repeat), data, exact)
        losses.append(float(run.step(next(run.batches(1)), 1).total))
    assert losses[1:] == pytest.approx([losses[0]] * 3, rel=1e-5)
    assert len(set(losses)) == 4


def test_views_in_another_order_are_the_same_mathematics(blob_data):
    data, exact = StudyData(blob_data), Execution(device="cpu", precision="float64")
    for objective in OBJECTIVES:
        gradients = []
        for is_reversed in (False, True):
            run = Pretraining(config(objective), data, exact)
            run.network.reversed_views = is_reversed
            run.network.train()
            losses = run.network(*run.feed(next(run.batches(1)), 1))
            losses.total.backward()
            gradients.append([p.grad.clone() for p in run.network.parameters()])
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_repeat_is_never_the_trial(blob_data, tmp_path):
    ids = {trial_id(config(noise_repeat=repeat), "data") for repeat in range(4)}
    assert len(ids) == 4
    assert trial_id(config(), "data") in ids


def test_a_repeat_trains_with_its_own_threads_and_says_so(blob_data, tmp_path):
    torch.set_num_threads(1)
    list(Trial(config(noise_repeat=1, epochs=2), blob_data, tmp_path).epochs())
    assert machine_of(tmp_path)["machine.threads"] == "2"
    assert machine_of(tmp_path)["machine.vector"] == torch.backends.cpu.get_cpu_capability()
    assert machine_of(tmp_path)["machine.cpu"]


def test_threads_of_a_trial_are_those_of_its_execution(blob_data, tmp_path):
    for threads in (2, 1):
        execution, folder = Execution(device="cpu", threads=threads), tmp_path / str(threads)
        next(Trial(config(), blob_data, folder, execution=execution).epochs())
        assert torch.get_num_threads() == threads
        assert machine_of(folder)["machine.threads"] == str(threads)


def test_a_trial_that_continues_elsewhere_has_both_machines(tmp_path):
    note_machine(tmp_path)
    first = machine_of(tmp_path)
    other = {**first, "machine.cpu": "another processor"}
    (tmp_path / "machine.json").write_text(json.dumps(other))
    note_machine(tmp_path)
    note_machine(tmp_path)
    assert machine_of(tmp_path) == {
        **first,
        "machine.cpu": f"another processor; {first['machine.cpu']}",
    }
