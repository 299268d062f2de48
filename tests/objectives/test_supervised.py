"""The supervised objective: L1 over valid joints, in the view's own coordinates."""

import math

import pytest
import torch

from handssl.models import HeadConfig
from handssl.objectives import Encoded, PoseTarget, build_objective
from handssl.transforms import AugmentConfig, move_points, view_matrix


def build(name, composition=(), dim=6):
    return build_objective(
        name,
        dim=dim,
        heads=HeadConfig(projection_hidden=8, projection_out=4, relative_hidden=8),
        augmentation=AugmentConfig(),
        composition=composition,
        temperature=0.5,
    )


@pytest.fixture
def batch():
    torch.manual_seed(0)
    theta = {"rotate": torch.tensor([[1.0, 0.3], [1.0, -0.5]])}
    matrix = view_matrix(theta, torch.zeros(2))
    target = PoseTarget(torch.randn(2, 21, 2), torch.randn(2, 21), torch.ones(2, 21).bool())
    return Encoded(torch.randn(2, 6), theta, matrix), target


def test_the_loss_is_the_mean_absolute_error_in_the_turned_view(batch):
    view, target = batch
    objective = build("supervised", ("rotate",))
    predicted = objective.pose(view.h).reshape(2, 21, 3)
    uv = move_points(target.uv, view.matrix)
    total = 0.0
    for n in range(2):
        for j in range(21):
            truth = [float(uv[n, j, 0]), float(uv[n, j, 1]), float(target.z[n, j])]
            total += sum(abs(float(predicted[n, j, k].detach()) - truth[k]) for k in range(3))
    expected = total / (2 * 21 * 3)
    assert float(objective([view], target).total.detach()) == pytest.approx(expected, rel=1e-5)


def test_targets_are_standardised_on_the_labels_they_are_shown(batch):
    view, target = batch
    objective = build("supervised", ("rotate",))
    columns = torch.cat((target.uv, target.z[..., None]), dim=-1)
    objective.standardise(target)
    assert torch.allclose(objective.centre, columns.mean(0), atol=1e-6)
    assert torch.allclose(objective.spread, columns.std(0, correction=0), atol=1e-6)
    still = Encoded(view.h, {}, view_matrix({}, torch.zeros(2)))
    with torch.no_grad():
        objective.pose.weight.zero_()
        objective.pose.bias.zero_()
    expected = ((columns - columns.mean(0)) / columns.std(0, correction=0)).abs().mean()
    assert float(objective([still], target).total.detach()) == pytest.approx(float(expected))


def test_a_column_without_spread_keeps_its_unit(batch):
    _, target = batch
    target.z[:, 0] = 0.0
    objective = build("supervised")
    objective.standardise(target)
    assert float(objective.spread[0, 2]) == 1.0


def test_an_invalid_joint_has_no_say_even_if_its_label_is_not_a_number(batch):
    view, target = batch
    objective = build("supervised", ("rotate",))
    target.valid[0, 5] = False
    before = objective([view], target).total
    target.uv[0, 5] = math.nan
    target.z[0, 5] = math.nan
    after = objective([view], target).total
    assert torch.equal(before, after)
    after.backward()
    assert bool(torch.isfinite(objective.pose.weight.grad).all())


def test_the_relative_objective_applies_but_does_not_predict_what_has_no_parameters():
    objective = build("relative", ("blur", "rotate", "sobel", "translate"))
    assert sorted(objective.relative.heads) == ["rotate", "translate"]
