"""Weights of the terms of a loss, and what moves them."""

from __future__ import annotations

import math

import pytest
import torch

from handssl.objectives import LearnedWeights, LogSumWeights, nt_xent, nt_xent_floor, project
from handssl.objectives.weights import MIN_LOG_SIGMA


def _descend(weights: LearnedWeights, loss: float, steps: int) -> float:
    """Minimise over log sigma at a constant loss, as training does, and return log sigma."""
    optimizer = torch.optim.SGD(weights.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        weights({"a": torch.tensor(loss)}).backward()
        optimizer.step()
        project(weights)
    return float(weights.log_sigma["a"].detach())


def test_a_weight_at_its_bound_falls_again_when_its_loss_has_risen():
    weights = LearnedWeights(["a"])
    assert _descend(weights, 0.0, steps=100) == MIN_LOG_SIGMA
    # The minimum of L exp(-s) + s is at s = log L.
    assert _descend(weights, 0.5, steps=300) == pytest.approx(math.log(0.5), abs=1e-3)


def test_the_weight_never_exceeds_that_of_the_bound():
    weights = LearnedWeights(["a"])
    _descend(weights, 1e-9, steps=200)
    total = weights({"a": torch.tensor(1.0)})
    assert float(total.detach()) == pytest.approx(math.exp(5.0) - 5.0)


def test_log_sigma_starts_where_the_first_loss_has_its_minimum():
    weights = LearnedWeights(["a", "b"], from_loss=True)
    losses = {"a": torch.tensor(0.2), "b": torch.tensor(3.0)}
    weights(losses).backward()
    assert weights.sigmas() == {n: pytest.approx(float(v)) for n, v in losses.items()}
    gradients = [float(parameter.grad) for parameter in weights.parameters()]
    assert gradients == pytest.approx([0.0, 0.0], abs=1e-6)


def test_only_the_first_loss_in_training_sets_log_sigma():
    weights = LearnedWeights(["a"], from_loss=True)
    weights.eval()({"a": torch.tensor(9.0)})
    for loss in (0.5, 2.0):
        weights.train()({"a": torch.tensor(loss)})
    assert float(weights.sigmas()["a"]) == pytest.approx(0.5)


def test_a_resumed_run_does_not_start_log_sigma_again():
    first, second = (LearnedWeights(["a"], from_loss=True) for _ in range(2))
    first({"a": torch.tensor(0.5)})
    second.load_state_dict(first.state_dict())
    second({"a": torch.tensor(7.0)})
    assert float(second.sigmas()["a"]) == pytest.approx(0.5)


def test_the_sum_of_logarithms_is_the_least_of_eq_3_over_sigma():
    loss = torch.tensor(0.3, requires_grad=True)
    total = LogSumWeights()({"a": loss})
    total.backward()
    sigmas = torch.linspace(0.05, 2.0, 2000)
    least = float((0.3 / sigmas + sigmas.log()).min())
    assert float(total.detach()) == pytest.approx(least - 1.0, abs=1e-4)
    assert float(loss.grad) == pytest.approx(1.0 / 0.3, rel=1e-6)


def test_a_vanishing_loss_has_the_finite_gradient_of_the_bound():
    loss = torch.tensor(0.0, requires_grad=True)
    LogSumWeights()({"a": loss}).backward()
    assert float(loss.grad) == pytest.approx(math.exp(5.0))


@pytest.mark.parametrize(("pairs", "temperature"), [(2, 0.5), (16, 0.1), (64, 1.0)])
def test_the_floor_is_the_loss_of_equal_positives_and_orthogonal_negatives(pairs, temperature):
    z = torch.eye(pairs, dtype=torch.float64)
    found = float(nt_xent(z, z, temperature=temperature))
    assert nt_xent_floor(pairs, temperature) == pytest.approx(found, abs=1e-12)
