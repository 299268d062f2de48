"""Every optimizer against plain loops, and what all of them keep to."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from handssl.errors import InputError
from handssl.optim import ChainOptimizer, build, lr_factor, trust_metrics
from handssl.optim.moments import AdamMoments
from handssl.optim.steps import Decay
from tests.reference import optim as plain

WD, LR, STEPS = 0.05, 0.3, 7
# Name, options, and the reference with the same.
CASES = {
    "adam": ("adam", {}, plain.PlainAdam, {}),
    "adam, other betas": ("adam", {"betas": (0.8, 0.9), "eps": 1e-3}, plain.PlainAdam, None),
    "adam_larc": ("adam_larc", {}, plain.AdamLarc, {}),
    "adam_larc, wide": ("adam_larc", {"trust_coefficient": 0.5}, plain.AdamLarc, {"eta": 0.5}),
    "lars": ("lars", {}, plain.Lars, {}),
    "lars, large batch": ("lars", {"preset": "large_batch", "momentum": 0.5}, plain.Lars, None),
    "lamb": ("lamb", {}, plain.Lamb, {}),
    "lamb, other betas": ("lamb", {"betas": (0.5, 0.7), "eps": 0.1}, plain.Lamb, None),
}
each_case = pytest.mark.parametrize("case", CASES)
each_name = pytest.mark.parametrize("name", ["adam", "adam_larc", "lars", "lamb"])


class Scenario:
    """Tensors of several kinds, with gradients that are given."""

    def __init__(self, dtype=torch.float64):
        torch.manual_seed(0)
        shapes = [(4, 3), (2, 3, 2, 2), (5,), (2, 2), (3,), (), (3, 1)]
        self.weights = [nn.Parameter(torch.randn(s, dtype=dtype)) for s in shapes]
        with torch.no_grad():
            self.weights[3].zero_()  # |w| = 0 among the adapted
            self.weights[4].zero_()
        self.gradients = [
            [10.0 ** (i - 3) * torch.randn(s, dtype=dtype) for i, s in enumerate(shapes)]
            for _ in range(STEPS)
        ]
        self.gradients[2][0].zero_()  # |g| = 0 among the adapted
        self.gradients[0][6].zero_()

    # (decay, adapt) of every tensor: also decayed without being adapted, and the reverse.
    masks = ((WD, True), (WD, True), (0.0, False), (WD, True), (0.0, False), (WD, False), (0, True))

    def groups(self):
        return [
            {"params": [w], "weight_decay": wd, "adapt": adapt}
            for w, (wd, adapt) in zip(self.weights, self.masks, strict=True)
        ]

    def give(self, step):
        for weight, gradient in zip(self.weights, self.gradients[step], strict=True):
            weight.grad = gradient.clone()

    def values(self):
        return [w.detach().clone() for w in self.weights]


def run(optimizer, scenario, steps=range(STEPS)):
    factor = lr_factor("wsd", warmup_steps=2, total_steps=STEPS, decay_share=0.4)
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = LR * factor(step)
        scenario.give(step)
        optimizer.step()


def by_loops(make, scenario):
    found = []
    for number, (weight, (wd, adapt)) in enumerate(
        zip(scenario.values(), scenario.masks, strict=True)
    ):
        w, rule = weight.flatten().tolist(), make(weight.numel())
        for step in range(STEPS):
            lr = LR * plain.wsd(step, 2, STEPS, 0.4)
            g = scenario.gradients[step][number].flatten().tolist()
            w = rule(w, g, lr, wd, adapt)
        found.append(w)
    return found


@each_case
def test_an_optimizer_equals_plain_loops_with_masks_schedule_and_zero_norms(case):
    name, options, rule, given = CASES[case]
    scenario = Scenario()
    expected = by_loops(lambda n: rule(n, **(options if given is None else given)), scenario)
    run(build(name, scenario.groups(), lr=LR, **options), scenario)
    for weight, values in zip(scenario.weights, expected, strict=True):
        assert weight.detach().flatten().tolist() == pytest.approx(values, rel=1e-10, abs=1e-13)


def test_the_scenario_makes_the_clip_of_adam_larc_act_and_not_act():
    scenario = Scenario()
    optimizer = build("adam_larc", scenario.groups(), lr=LR)
    scenario.give(1)
    optimizer.step()
    assert 0 < float(optimizer.trust_statistics()["clipped"]) < 1


def test_composed_adam_equals_torchs():
    ours, theirs = Scenario(), Scenario()
    run(ChainOptimizer(ours.groups(), [Decay(), AdamMoments((0.9, 0.999), 1e-8)], lr=LR), ours)
    run(torch.optim.Adam(theirs.groups(), lr=LR), theirs)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_adam_is_torchs_own_and_bit_identical_to_it():
    ours, theirs = Scenario(torch.float32), Scenario(torch.float32)
    run(build("adam", ours.groups(), lr=LR), ours)
    run(torch.optim.Adam(theirs.groups(), lr=LR, foreach=True), theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours.weights, theirs.weights, strict=True))


def test_lars_of_ratio_one_is_torchs_sgd_with_momentum_at_a_constant_rate():
    ours, theirs = Scenario(), Scenario()
    groups = [{"params": ours.weights, "weight_decay": WD}]
    optimizer = build("lars", groups, lr=0.01)
    other = torch.optim.SGD(theirs.weights, lr=0.01, momentum=0.9, weight_decay=WD)
    for step in range(STEPS):
        ours.give(step)
        theirs.give(step)
        optimizer.step()
        other.step()
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_lamb_without_adaptation_is_torchs_adamw_at_the_same_decay():
    ours, theirs = Scenario(), Scenario()
    optimizer = build("lamb", [{"params": ours.weights, "weight_decay": WD}], lr=LR, eps=1e-8)
    other = torch.optim.AdamW(theirs.weights, lr=LR, weight_decay=WD)
    ours.give(0)
    theirs.give(0)
    # AdamW decays before its update, LAMB with it: the same in one step.
    optimizer.step()
    other.step()
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def one_step(name, **options):
    weight = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    weight.grad = torch.tensor([0.0, 100.0], dtype=torch.float64)
    groups = [{"params": [weight], "weight_decay": 0.5, "adapt": True}]
    build(name, groups, lr=0.1, **options).step()
    return weight.tolist()


def test_a_step_by_hand_has_the_pinned_values():
    # |w| = 5, |g| = 100, wd = 1/2, decayed gradient (1.5, 102), worked out on paper.
    ratio = 0.001 * 5 / 102.5
    assert one_step("lars") == pytest.approx([3 - 0.15 * ratio, 4 - 10.2 * ratio])
    ratio = 0.001 * 5 / math.sqrt(1.5**2 + 102**2)
    expected = [3 - 0.15 * ratio, 4 - 10.2 * ratio]
    assert one_step("lars", preset="large_batch") == pytest.approx(expected)
    assert one_step("adam_larc") == pytest.approx([2.9, 3.9], rel=1e-5)
    # Adam's first update is (0, 1), the decayed one (1.5, 3).
    ratio = 5 / math.sqrt(1.5**2 + 3**2)
    assert one_step("lamb") == pytest.approx([3 - 0.15 * ratio, 4 - 0.3 * ratio], rel=1e-6)


@each_name
def test_a_run_that_was_saved_continues_bit_by_bit(name, tmp_path):
    whole, parts = Scenario(torch.float32), Scenario(torch.float32)
    run(build(name, whole.groups(), lr=LR), whole)
    first = build(name, parts.groups(), lr=LR)
    run(first, parts, range(3))
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = build(name, parts.groups(), lr=1.0)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    run(second, parts, range(3, STEPS))
    assert all(torch.equal(a, b) for a, b in zip(whole.weights, parts.weights, strict=True))


@each_name
def test_the_state_comes_back_as_it_was_saved(name):
    scenario = Scenario()
    first = build(name, scenario.groups(), lr=LR)
    run(first, scenario)
    saved = copy.deepcopy(first.state_dict())
    second = build(name, scenario.groups(), lr=1.0)
    second.load_state_dict(saved)
    again = second.state_dict()
    assert again["param_groups"] == saved["param_groups"]
    for index, kept in saved["state"].items():
        assert kept.keys() == again["state"][index].keys()
        for key, value in kept.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(again["state"][index][key]))


@each_name
def test_a_quadratic_decreases(name):
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 3))
    optimizer = build(name, [{"params": [weight], "adapt": True}], lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = ((weight - 1.0) ** 2).sum()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert math.isfinite(losses[-1])


@each_name
def test_gradients_are_left_as_they_were(name):
    scenario = Scenario()
    optimizer = build(name, scenario.groups(), lr=LR)
    scenario.give(1)
    optimizer.step()
    for weight, gradient in zip(scenario.weights, scenario.gradients[1], strict=True):
        assert torch.equal(weight.grad, gradient)


@each_name
def test_a_parameter_without_gradient_stays_and_counts_its_own_updates(name):
    late, other = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    groups = [{"params": [other, late], "weight_decay": WD, "adapt": True}]
    optimizer = build(name, groups, lr=0.1)
    other.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(late.detach(), torch.ones(2, 2))
    fresh = nn.Parameter(torch.ones(2, 2))
    late.grad, fresh.grad = torch.ones(2, 2), torch.ones(2, 2)
    optimizer.step()
    alone = [{"params": [fresh], "weight_decay": WD, "adapt": True}]
    build(name, alone, lr=0.1).step()
    torch.testing.assert_close(late, fresh, rtol=1e-6, atol=0)


@each_name
def test_a_group_that_is_excluded_is_neither_decayed_nor_adapted(name):
    values = []
    for weight_decay, adapt in ((0.0, False), (0.0, True), (1.0, False)):
        weight = nn.Parameter(torch.full((3,), 2.0))
        weight.grad = torch.tensor([30.0, -1.0, 0.5])
        groups = [{"params": [weight], "weight_decay": weight_decay, "adapt": adapt}]
        build(name, groups, lr=0.1).step()
        values.append(weight.detach())
    plain_step = {"adam": 0.1 * torch.tensor([1.0, -1, 1]), "lars": 0.1 * weight.grad}
    moved = plain_step.get(name, plain_step["adam"])
    torch.testing.assert_close(values[0], 2.0 - moved, rtol=1e-5, atol=1e-6)
    assert (name in ("lars", "lamb")) == (not torch.allclose(values[0], values[1], rtol=1e-4))
    assert not torch.equal(values[0], values[2])


class NoSync(TorchDispatchMode):
    """Refuses what makes the host wait for a value."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        waits = ("_local_scalar_dense", "nonzero", "masked_select", "equal.default")
        name = str(func)
        if any(word in name for word in waits):
            raise AssertionError(f"{name} waits for the device")
        return func(*args, **(kwargs or {}))


def test_the_check_for_waiting_finds_it():
    with NoSync(), pytest.raises(AssertionError, match="waits for the device"):
        bool(torch.ones(()) > 0)


@pytest.mark.parametrize("name", ["adam_larc", "lars", "lamb"])
def test_no_update_and_no_statistic_waits_for_the_device(name):
    scenario = Scenario()
    optimizer = build(name, scenario.groups(), lr=LR)
    scenario.give(0)
    with NoSync():
        optimizer.step()
        optimizer.step()
        found = optimizer.trust_statistics()
    assert all(isinstance(value, torch.Tensor) and value.ndim == 0 for value in found.values())


@each_name
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_optimizer_is_deterministic_and_keeps_the_dtype(name, dtype):
    a, b = Scenario(dtype), Scenario(dtype)
    for scenario in (a, b):
        run(build(name, scenario.groups(), lr=LR), scenario)
    for x, y in zip(a.weights, b.weights, strict=True):
        assert x.dtype == dtype
        assert torch.equal(x, y)


def test_trust_statistics_are_those_of_the_last_update():
    weights = [nn.Parameter(torch.full((4,), value)) for value in (1.0, 2.0, 8.0)]
    for weight in weights:
        weight.grad = torch.ones(4)
    optimizer = build("lars", [{"params": weights, "adapt": True}], lr=1e-6)
    assert optimizer.trust_statistics() == {}
    optimizer.step()
    found = {name: float(value) for name, value in optimizer.trust_statistics().items()}
    assert found == pytest.approx({"min": 0.001, "median": 0.002, "max": 0.008})
    metrics = trust_metrics(optimizer)
    assert metrics == pytest.approx({f"train/trust/{k}": v for k, v in found.items()})
    assert trust_metrics(build("adam", [{"params": weights}], lr=0.1)) == {}


def test_the_share_clipped_counts_tensors_whose_gradient_was_made_smaller():
    weights = [nn.Parameter(torch.ones(4)) for _ in range(4)]
    for weight, size in zip(weights, (0.01, 0.1, 1.0, 10.0), strict=True):
        weight.grad = torch.full((4,), size)
    optimizer = build("adam_larc", [{"params": weights, "adapt": True}], lr=0.1)
    optimizer.step()
    found = {name: float(value) for name, value in optimizer.trust_statistics().items()}
    # eta |w| / |g| with eta 0.02 and equal |w|: two of four are below the rate of 0.1.
    expected = {"min": 0.002, "median": 0.02, "max": 2.0, "clipped": 0.5}
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("lr", [0.1, 1e-12, 0.0])
@pytest.mark.parametrize(("name", "eta"), [("adam_larc", 0.02), ("lars", 0.001), ("lamb", 1.0)])
def test_trust_ratios_do_not_depend_on_the_learning_rate(name, eta, lr):
    weight = nn.Parameter(torch.full((4,), 3.0))
    weight.grad = torch.full((4,), 2.0)
    optimizer = build(name, [{"params": [weight], "adapt": True}], lr=lr)
    optimizer.step()
    # |w| / |u|; the first update of Adam's moments, which lamb adapts, is the sign of the gradient.
    expected = eta * 3.0 / (1.0 if name == "lamb" else 2.0)
    assert float(optimizer.trust_statistics()["max"]) == pytest.approx(expected, rel=1e-5)
    assert torch.isfinite(weight).all()


def test_a_closure_is_called_with_gradients_on():
    weight = nn.Parameter(torch.ones(2))
    optimizer = build("lars", [{"params": [weight]}], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return float(loss.detach())

    assert optimizer.step(closure) == 2.0
    torch.testing.assert_close(weight.detach(), torch.full((2,), 0.8))


def test_an_option_that_is_not_read_is_refused_with_those_that_are():
    with pytest.raises(InputError, match="lars does not read 'eps'; valid: momentum"):
        build("lars", [], lr=0.1, eps=1e-3)
