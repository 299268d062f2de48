"""Heads on pairs of different images: those that read a trace give themselves away."""

import pytest
import torch
from torch import nn

from handssl.data.splits import StudyData
from handssl.evaluation.diagnostics import head_measures
from handssl.evaluation.diagnostics.passes import EncodedView
from handssl.objectives import RelativeConfig, RelativeLoss
from handssl.training.config import PretrainConfig
from handssl.training.trial import Trial
from handssl.transforms import AugmentConfig, draw_theta, regressed_intervals, view_matrix

COUNT = 400
WIDTH = regressed_intervals("rotate")[0].width


class Trace(nn.Module):
    """Takes the difference of what each view tells of its own angle."""

    def forward(self, h_a, h_b):
        return (h_b[:, :1] - h_a[:, :1]) / WIDTH


class Content(nn.Module):
    """Compares two views of one hand; of different hands it knows nothing."""

    def forward(self, h_a, h_b):
        same = (h_a[:, 1:2] == h_b[:, 1:2]).to(h_a.dtype)
        return same * (h_b[:, :1] - h_a[:, :1]) / WIDTH


class Pose(nn.Module):
    """Takes the difference of the angles of both hands as they appear."""

    def forward(self, h_a, h_b):
        return (h_b[:, 2:] - h_a[:, 2:]) / WIDTH


def views():
    """Features: the drawn angle, the image's number, the angle of the hand as it appears."""
    ids = torch.arange(COUNT)
    upright = torch.randn(COUNT, generator=torch.Generator().manual_seed(1))
    for number in (0, 1):
        theta = draw_theta(AugmentConfig(), ("rotate",), ids, seed=1, epoch=1, view=number)
        angle = theta["rotate"][:, 1]
        features = torch.stack((angle, ids.float(), upright + angle), dim=1)
        yield EncodedView(features, theta, view_matrix(theta, torch.zeros(COUNT)))


def measured(head, **options):
    loss = RelativeLoss(
        3, 4, {"rotate": regressed_intervals("rotate")}, RelativeConfig.parse(options)
    )
    loss.weight = nn.Parameter(torch.zeros(1))
    loss.heads["rotate"] = head
    return head_measures(loss, "rotate", *views())


@pytest.mark.parametrize("targets", ["normalised", "between_views"])
def test_a_head_that_reads_a_trace_of_each_view_needs_no_second_view_of_the_hand(targets):
    found = measured(Trace(), targets=targets)
    assert found["head_r2"] == pytest.approx(1.0, abs=1e-5)
    assert found["leak"] == pytest.approx(1.0, abs=1e-5)


def test_a_head_that_compares_content_cannot_tell_for_different_hands():
    found = measured(Content())
    assert found["head_r2"] == pytest.approx(1.0, abs=1e-5)
    assert found["leak"] == pytest.approx(0.0, abs=0.02)


def test_a_head_that_takes_another_hand_for_a_turned_one_is_below_the_mean():
    found = measured(Pose())
    assert found["head_r2"] == pytest.approx(1.0, abs=1e-5)
    assert found["leak"] < -1.0


@pytest.mark.parametrize(
    ("objective", "composition", "expected"),
    [
        ("relative", ("blur", "rotate"), {"rotate"}),
        ("mixed", ("blur", "rotate", "translate"), {"translate"}),
        ("contrastive", ("rotate",), set()),
    ],
)
def test_trials_log_the_leak_of_the_heads_they_have(
    blob_data, tmp_path, objective, composition, expected
):
    config = PretrainConfig.parse(
        {
            "composition": composition,
            "objective": objective,
            "relative_on": ("translate",) if objective == "mixed" else (),
            "epochs": 1,
            "global_batch": 16,
            "encoder": {"input_px": 32, "width": 8},
            "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
            "optimizer": {"warmup_epochs": 0},
        }
    )
    assert len(StudyData(blob_data).store("pretrain")) >= 16
    (result,) = Trial(config, blob_data, tmp_path).epochs()
    for name in ("leak", "head_r2"):
        logged = {key for key in result.metrics if key.startswith(f"diag/{name}/")}
        assert logged == {f"diag/{name}/{transformation}" for transformation in expected}
