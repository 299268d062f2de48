"""Gradients of the terms of `mixed`, and joined features."""

from __future__ import annotations

import pytest
import torch

from handssl.bench.mixed import Joined, gradient_cosine, joined_metrics
from handssl.data.splits import StudyData
from handssl.errors import InputError
from handssl.objectives import Encoded, nt_xent
from handssl.training import Execution, PretrainConfig, Pretraining, Trial
from handssl.training.checkpoints.reading import RunState, read

SMALL = {
    "composition": ["color_jitter", "rotate"],
    "epochs": 2,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
}
MIXED = {"objective": "mixed", "relative_on": ["rotate"]}


def trained(folder, data, **changes):
    run = Trial(
        PretrainConfig.parse({**SMALL, **changes}), data, folder, execution=Execution(device="cpu")
    )
    *_, last = run.epochs()
    return folder, last.metrics


def test_the_cosine_is_that_of_the_gradients_of_both_terms_by_themselves(tmp_path, blob_data):
    trial, _ = trained(tmp_path / "a", blob_data, **MIXED)
    state = RunState.from_dict(read(max((trial / "checkpoints").glob("epoch-*.ckpt"))))
    run = Pretraining(PretrainConfig.parse(state.configuration), StudyData(blob_data))
    run.load_state(state.training)
    views, _ = run.feed(next(run.batches(3)), 3)
    images = torch.cat([view.images for view in views]).contiguous(
        memory_format=torch.channels_last
    )
    features = run.network.train().encoder(images).chunk(2)
    encoded = [Encoded(h, v.theta, v.matrix) for h, v in zip(features, views, strict=True)]
    z = run.objective.projection(torch.cat(features)).chunk(2)
    terms = (
        nt_xent(*z, temperature=run.config.temperature),
        run.objective.relative.of_pair(*encoded)["rotate"],
    )
    weights = list(run.encoder.parameters())
    gradients = [
        torch.cat([g.flatten() for g in torch.autograd.grad(term, weights, retain_graph=True)])
        for term in terms
    ]
    expected = float(torch.nn.functional.cosine_similarity(*gradients, dim=0))
    assert gradient_cosine(trial, blob_data, batches=1) == pytest.approx(expected, abs=1e-4)


def test_an_objective_without_two_terms_is_refused(tmp_path, blob_data):
    trial, _ = trained(tmp_path / "a", blob_data, objective="contrastive")
    with pytest.raises(InputError, match="expected objective mixed"):
        gradient_cosine(trial, blob_data)


def test_one_encoder_joined_alone_has_its_own_error(tmp_path, blob_data):
    trial, metrics = trained(tmp_path / "a", blob_data, objective="contrastive")
    joined = joined_metrics([trial], blob_data, dim=64)
    assert joined["test_median_mm"] == pytest.approx(metrics["test_median_mm"], rel=1e-6)


def test_all_principal_components_of_joined_features_span_the_same_space():
    class Slopes(torch.nn.Module):
        dim = 3

        def __init__(self, seed):
            super().__init__()
            generator = torch.Generator().manual_seed(seed)
            self.layer = torch.nn.Linear(3 * 32 * 32, 3, bias=False)
            self.layer.weight.data = torch.randn(3, 3072, generator=generator) / 50

        def forward(self, images):
            return self.layer(images.flatten(1))

    joined = Joined([Slopes(1), Slopes(2)])
    assert joined.dim == 6
    images = torch.randn(40, 3, 32, 32)
    features = joined(images).detach()
    joined.mean, joined.scale = features.mean(0), features.std(0)
    _, _, axes = torch.linalg.svd((features - joined.mean) / joined.scale, full_matrices=False)
    joined.axes = axes.T
    rotated = joined(images).detach()
    assert torch.allclose(
        torch.cdist(rotated, rotated) ** 2,
        torch.cdist(features / joined.scale, features / joined.scale) ** 2,
        atol=1e-3,
    )
