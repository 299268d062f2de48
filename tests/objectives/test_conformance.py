"""What holds for every objective and every option."""

import pytest
import torch

from handssl.objectives import OBJECTIVES, Encoded, PoseTarget
from handssl.transforms import REGRESSABLE
from tests.objectives.cases import CASES, DIM, ROWS, build, encode, labels, naive_loss

every_case = pytest.mark.parametrize("case", CASES)


def test_every_objective_is_among_the_cases():
    assert {case["name"] for case in CASES.values()} == set(OBJECTIVES)


@every_case
def test_the_loss_equals_naive_float64_loops(case):
    objective = build(case)
    views, target = encode(case, objective), labels()
    total = float(objective(views, target).total.detach())
    with torch.no_grad():
        assert total == pytest.approx(naive_loss(case, objective, views, target), abs=1e-12)


@every_case
def test_the_loss_is_finite_and_its_gradient_reaches_every_view_and_every_head(case):
    objective = build(case)
    views = encode(case, objective)
    features = [view.h.requires_grad_() for view in views]
    losses = objective(views, labels())
    losses.total.backward()
    assert bool(torch.isfinite(losses.total))
    assert all(bool(h.grad.abs().sum(1).gt(0).all()) for h in features)
    for name, parameter in objective.named_parameters():
        started_at_optimum = "from the loss" in case and "log_sigma" in name
        # An offset before BatchNorm has no influence.
        if parameter.ndim != 1 and not started_at_optimum:
            assert bool(parameter.grad.abs().sum() > 0), name


# Where parts carry no gradient on purpose, finite differences are another function's.
DETACHED = ("equivariant, published", "relative, weights from the loss")


@pytest.mark.parametrize("case", [case for case in CASES if case not in DETACHED])
def test_the_gradient_is_that_of_finite_differences(case):
    objective = build(case)
    target = labels(4)

    def loss(h):
        return objective(encode(case, objective, h, rows=4), target).total

    generator = torch.Generator().manual_seed(2)
    shape = (len(objective.draws), 4, DIM)
    h = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (h,))


@every_case
def test_the_same_inputs_give_the_same_bits(case):
    first, second = (
        objective(encode(case, objective), labels()).total
        for objective in (build(case), build(case))
    )
    assert torch.equal(first, second)


@every_case
def test_the_order_of_samples_is_of_no_account(case):
    objective = build(case)
    views, target = encode(case, objective), labels()
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = [
        Encoded(v.h[order], {k: t[order] for k, t in v.theta.items()}, v.matrix[order])
        for v in views
    ]
    labels_moved = PoseTarget(target.uv[order], target.z[order], target.valid[order])
    before, after = objective(views, target).total, objective(moved, labels_moved).total
    assert float(before.detach()) == pytest.approx(float(after.detach()), abs=1e-12)


@every_case
def test_terms_and_sigmas_are_named_after_what_they_weigh_and_carry_no_gradient(case):
    objective = build(case)
    losses = objective(encode(case, objective), labels())
    options = CASES[case]
    predicted = {
        "relative": set(options["composition"]) & set(REGRESSABLE),
        "mixed": {*options.get("relative_on", ()), "contrastive"},
    }.get(options["name"], set())
    assert set(losses.terms) == predicted
    assert set(losses.sigmas) <= predicted
    for value in (*losses.terms.values(), *losses.sigmas.values()):
        assert value.ndim == 0
        assert not value.requires_grad


@every_case
def test_every_objective_says_which_draws_its_views_take(case):
    objective = build(case)
    assert objective.split in ("pretrain", "probe")
    assert len(encode(case, objective)) == len(objective.draws)
    assert encode(case, objective)[0].h.shape == (ROWS, DIM)
