"""Optimizers, rates and schedules."""

import math

import pytest
import torch

from handssl.errors import InputError
from handssl.models import ResNet18, mlp
from handssl.objectives import LearnedWeights
from handssl.optim import build, cosine_factor, decay_groups, peak_lr


def test_the_learning_rate_grows_with_the_root_of_the_global_batch():
    assert peak_lr(1e-4, 2048) == pytest.approx(1e-4 * math.sqrt(2048))
    assert peak_lr(1e-4, 400) == pytest.approx(2 * peak_lr(1e-4, 100))


def test_the_schedule_rises_linearly_then_falls_as_half_a_cosine():
    factors = [cosine_factor(s, warmup_steps=10, total_steps=110) for s in range(110)]
    assert factors[:10] == pytest.approx([(s + 1) / 10 for s in range(10)])
    for step in range(10, 110):
        expected = 0.5 * (1 + math.cos(math.pi * (step - 10) / 100))
        assert factors[step] == pytest.approx(expected)
    assert 0 < factors[-1] < 0.001


def test_a_schedule_without_warm_up_starts_at_its_peak():
    assert cosine_factor(0, warmup_steps=0, total_steps=10) == 1.0


def test_only_weights_of_convolutions_and_linear_layers_decay():
    modules = [ResNet18(8), mlp(8, 8, 8), LearnedWeights(["rotate"])]
    decayed, others = decay_groups(modules, 0.1)
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in others["params"]} == {0, 1}
    total = sum(len(list(m.parameters())) for m in modules)
    assert len(decayed["params"]) + len(others["params"]) == total
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_adam_equals_the_formula_for_three_steps():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = build("adam", [{"params": [weight], "weight_decay": 0.0}], lr=0.1)
    w, m, v = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0]
    for t in range(1, 4):
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
        for i in range(2):
            g = 2 * w[i]
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g * g
            w[i] -= 0.1 * (m[i] / (1 - 0.9**t)) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
    assert weight.detach().tolist() == pytest.approx(w, abs=1e-12)


def test_an_unknown_optimizer_is_refused_with_the_valid_names():
    with pytest.raises(InputError, match="unknown optimizer 'adan'"):
        build("adan", [], lr=0.1)
