"""The heatmap network inside the loop: losses, every objective, resume, identity, its probe."""

import math

import pytest
import torch

from handssl.data.splits import StudyData
from handssl.errors import InputError
from handssl.evaluation import evaluate_predictions, head_probe
from handssl.evaluation.config import ProbeConfig
from handssl.evaluation.head_probe import fit_head
from handssl.evaluation.kept_probe import decode
from handssl.evaluation.probe import fit_probe, predict_splits
from handssl.evaluation.targets import pose_targets
from handssl.models import HeatmapNetwork, build_encoder
from handssl.objectives import Encoded, HeatmapRegression, PoseTarget, heatmap_losses
from handssl.planning.trial_size import trial_size
from handssl.study.identity import trial_id
from handssl.training import PretrainConfig, Pretraining, Trial
from handssl.training.weights import load_weights
from handssl.transforms import move_points, view_matrix

SMALL = {
    "epochs": 2,
    "global_batch": 16,
    "encoder": {"name": "heatmap", "width": 8, "input_px": 32, "map_stride": 4},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
    "composition": ["rotate", "translate"],
}
MIXED = {"objective": "mixed", "relative_on": ["rotate"]}
POINTS = {"heads": {**SMALL["heads"], "projection": "soft_argmax"}}
ARMS = {
    "supervised": {"objective": "supervised"},
    "supervised, two stages": {
        "objective": "supervised",
        "encoder": {**SMALL["encoder"], "stages": 2},
    },
    "contrastive": {"objective": "contrastive"},
    "contrastive, points": {"objective": "contrastive", **POINTS},
    "relative": {"objective": "relative"},
    "mixed": MIXED,
    "equivariant": {"objective": "equivariant"},
    "equivariant, points": {"objective": "equivariant", **POINTS},
}


@pytest.fixture(autouse=True)
def short_fits(monkeypatch):
    """Fits of the head as short as the trials."""
    monkeypatch.setattr(head_probe, "UPDATES", 20)


def config(values, **changes):
    return PretrainConfig.parse({**SMALL, **values, **changes})


def deterministic(metrics):
    return {name: value for name, value in metrics.items() if not name.endswith("_s")}


def test_losses_equal_naive_loops_over_joints_with_a_label():
    torch.manual_seed(0)
    uv, z = torch.randn(3, 21, 2), torch.randn(3, 21)
    target = PoseTarget(torch.randn(3, 21, 2), torch.randn(3, 21), torch.rand(3, 21) > 0.3)
    target.uv[~target.valid] = math.nan
    flat = [(n, j) for n in range(3) for j in range(21) if target.valid[n, j]]
    off = [abs(float(uv[n, j, k] - target.uv[n, j, k])) for n, j in flat for k in range(2)]
    deep = [abs(float(z[n, j] - target.z[n, j])) for n, j in flat]
    found = [float(one) for one in heatmap_losses(uv, z, target)]
    assert found == pytest.approx([sum(off) / len(off), sum(deep) / len(deep)], rel=1e-5)


def test_every_stage_counts_and_depths_have_the_configured_weight():
    torch.manual_seed(0)
    objective = HeatmapRegression((42, 4, 4), 2, depth_weight=0.25)
    theta = {"rotate": torch.tensor([[1.0, 0.4], [1.0, -0.2]])}
    view = Encoded(torch.randn(2, 2 * 42 * 16), theta, view_matrix(theta, torch.zeros(2)))
    target = PoseTarget(torch.randn(2, 21, 2), torch.randn(2, 21), torch.ones(2, 21).bool())
    expected = 0.0
    for head, part in zip(objective.heads, view.h.chunk(2, 1), strict=True):
        uv, z = (one.detach() for one in head(part))
        truth = move_points(target.uv, view.matrix)
        expected += float((uv - truth).abs().mean() + 0.25 * (z - target.z).abs().mean())
    losses = objective([view], target)
    assert float(losses.total.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(losses.terms["z"]) == pytest.approx(float((z - target.z).abs().mean()))


@pytest.mark.parametrize("arm", ARMS)
def test_every_objective_lowers_its_loss_on_maps(blob_data, arm):
    run = Pretraining(config(ARMS[arm], epochs=6), StudyData(blob_data))
    losses = [run.train_epoch(epoch)["train/loss"] for epoch in range(1, 7)]
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("arm", ["supervised, two stages", "contrastive, points"])
def test_a_trial_stopped_after_an_epoch_continues_to_the_same_bits(blob_data, tmp_path, arm):
    chosen = config(ARMS[arm])
    whole = [r.metrics for r in Trial(chosen, blob_data, tmp_path / "whole").epochs()]
    halted = Trial(chosen, blob_data, tmp_path / "halted").epochs()
    next(halted)
    del halted
    continued = [r.metrics for r in Trial(chosen, blob_data, tmp_path / "halted").epochs()]
    assert [*map(deterministic, continued)] == [*map(deterministic, whole)]
    weights = [(tmp_path / one / "encoder.safetensors").read_bytes() for one in ("whole", "halted")]
    assert weights[0] == weights[1]
    assert "head/root_gtroot_20_boxpub/median_mm" in continued[-1]
    assert ("test/end_to_end/root_gtroot_20_boxpub/median_mm" in continued[-1]) == (
        chosen.objective == "supervised"
    )


def test_it_overfits_four_images(blob_data):
    data, network = StudyData(blob_data), HeatmapNetwork(16, map_stride=2, input_px=32)
    objective = HeatmapRegression(network.map_shape, 1, 20 / 128)
    store, target = data.store("probe"), pose_targets(data.store("probe"))
    torch.manual_seed(0)
    images, four = torch.randn(4, 3, 32, 32), torch.arange(4)
    assert len(store) >= 4
    labels = PoseTarget(target.uv[four], target.z[four], target.valid[four])
    optimizer = torch.optim.Adam([*network.parameters(), *objective.parameters()], lr=3e-3)
    for _ in range(150):
        view = Encoded(network(images), {}, view_matrix({}, torch.zeros(4)))
        losses = objective([view], labels)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
    spread = [(one - one.mean(0)).abs().mean() for one in (labels.uv, labels.z)]
    assert float(losses.terms["uv"]) < 0.2 * float(spread[0])
    assert float(losses.terms["z"]) < 0.2 * float(spread[1])


def test_options_of_maps_change_the_id_and_their_defaults_do_not():
    plain = PretrainConfig(composition=("rotate",))
    same = plain.merged({"encoder.stages": 1, "encoder.map_stride": 1, "heads.projection": "mlp"})
    assert trial_id(same, "data") == trial_id(plain, "data")
    heat = plain.merged({"encoder.name": "heatmap"})
    others = [
        heat,
        heat.merged({"encoder.stages": 2}),
        heat.merged({"encoder.map_stride": 4}),
        heat.merged({"heads.projection": "soft_argmax"}),
        heat.merged({"heads.depth_weight": 0.5}),
        plain,
    ]
    assert len({trial_id(one, "data") for one in others}) == len(others)
    assert PretrainConfig.parse(others[1].model_dump(mode="json")) == others[1]


def test_points_without_maps_are_refused_before_training():
    with pytest.raises(InputError, match="needs an encoder of maps"):
        PretrainConfig.parse({"heads": {"projection": "soft_argmax"}})


def test_a_wide_head_on_whole_maps_is_part_of_the_planned_size():
    paper = {"encoder": {"name": "heatmap", "width": 64, "map_stride": 4}}
    large, small = (
        trial_size(PretrainConfig.parse({**paper, "heads": {"projection_hidden": hidden}}))
        for hidden in (2048, 64)
    )
    assert large.checkpoint_bytes - small.checkpoint_bytes > 85e6 * 3 * 4


class TestProbeOfMaps:
    def test_it_finds_joints_that_are_a_mixture_of_maps(self, monkeypatch):
        monkeypatch.setattr(head_probe, "UPDATES", 200)
        torch.manual_seed(0)
        place = torch.rand(128, 21, 2) - 0.5
        centres = (torch.arange(8.0) + 0.5) / 8 - 0.5
        near = [-40 * (centres - place[..., i, None]) ** 2 for i in range(2)]
        blobs = near[1][..., :, None] + near[0][..., None, :]
        maps = torch.cat((blobs.flip(1), torch.randn(128, 21, 8, 8)), 1)
        target = PoseTarget(place, torch.zeros(128, 21), torch.ones(128, 21).bool())
        probe = fit_head(maps.flatten(1), target, (42, 8, 8))
        error = (probe.predict(maps.flatten(1))[:, :42].reshape(-1, 21, 2) - place).abs().mean()
        constant = place.abs().mean()
        assert float(error) < 0.5 * float(constant)

    def test_it_is_fitted_again_to_the_same_bits_from_the_weights_of_a_trial(
        self, blob_data, tmp_path
    ):
        chosen, data = config(ARMS["contrastive"]), StudyData(blob_data)
        *_, last = Trial(chosen, blob_data, tmp_path / "one").epochs()
        encoder = build_encoder(chosen.encoder)
        load_weights(encoder, tmp_path / "one" / "encoder.safetensors")
        probe, selected = fit_probe(encoder, data, view_px=32)
        columns = predict_splits(probe, selected, encoder, data, view_px=32, test=True)
        again = evaluate_predictions(columns, data, prefix=probe.name)
        assert again == {name: last.metrics[name] for name in again}
        kept = decode((tmp_path / "one" / "probe.safetensors").read_bytes()).read_out
        assert kept.kind == "heatmaps"
        assert torch.equal(kept.predict(selected), columns["select"])

    def test_pooled_features_have_no_maps_to_read(self, blob_data):
        plain = PretrainConfig.parse({"encoder": {"width": 8, "input_px": 32}})
        with pytest.raises(InputError, match="probe 'head' reads the maps"):
            encoder, data = build_encoder(plain.encoder), StudyData(blob_data)
            fit_probe(encoder, data, view_px=32, config=ProbeConfig(name="head"))
