"""Measurements on trained encoders: conflict of gradients, and features of two encoders joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from handssl.data.splits import StudyData
from handssl.data.store import PackedSplit
from handssl.errors import InputError
from handssl.evaluation.features import extract_features
from handssl.evaluation.probe import evaluate_encoder
from handssl.models import Encoder, build_encoder
from handssl.objectives import LearnedWeights, Mixed
from handssl.training import Execution, PretrainConfig, Pretraining
from handssl.training.checkpoints.reading import RunState, read
from handssl.training.weights import load_weights

_OFF = 80.0  # log sigma at which a term's weight vanishes in float32


def gradient_cosine(trial: Path, data: Path, *, batches: int = 8) -> float:
    """Return the mean cosine between the gradients of both terms of `mixed` in the encoder.

    The gradients are those of the contrastive term and of the weighted relative terms at the end of
    the training, on batches of the epoch after it. Below 0 the terms are in conflict.

    Args:
        trial: Folder of the trial, with its last checkpoint.
        data: Folder of its packed data.
        batches: Number of batches.

    Raises:
        InputError: The trial's objective has no two terms with trained weights.
    """
    state = RunState.from_dict(read(max((trial / "checkpoints").glob("epoch-*.ckpt"))))
    config = PretrainConfig.parse(state.configuration)
    run = Pretraining(config, StudyData(data), Execution(device="cpu"))
    run.load_state(state.training)
    if not (
        isinstance(run.objective, Mixed)
        and isinstance(run.objective.weights, LearnedWeights)
        and isinstance(run.objective.contrastive_weights, LearnedWeights)
    ):
        raise InputError(
            f"{trial}: expected objective mixed with learned weights, got {config.objective}"
        )
    contrastive, relative = run.objective.contrastive_weights, run.objective.weights
    found = []
    for indices in islice(run.batches(config.epochs + 1), batches):
        views, target = run.feed(indices, config.epochs + 1)
        gradients = []
        for silent in (relative, contrastive):
            with _weightless(silent):
                run.network.zero_grad()
                total = run.network.train()(views, target).total
                total.backward()
                gradients.append(_gradient(run.encoder))
        found.append(F.cosine_similarity(gradients[0], gradients[1], dim=0))
    return float(torch.stack(found).mean())


@contextmanager
def _weightless(weights: LearnedWeights) -> Iterator[None]:
    """Give the terms of some weights no influence within this context."""
    kept = {name: value.detach().clone() for name, value in weights.log_sigma.items()}
    with torch.no_grad():
        for value in weights.log_sigma.values():
            value.fill_(_OFF)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in weights.log_sigma.items():
                value.copy_(kept[name])


def _gradient(encoder: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])


class Joined(nn.Module):
    """Features of several encoders side by side, reduced by a principal component analysis.

    Args:
        encoders: The encoders, on the CPU.
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.dim = sum(encoder.dim for encoder in encoders)
        self.axes: torch.Tensor | None = None

    def reduce(self, store: PackedSplit, dim: int, *, view_px: int) -> None:
        """Keep the first principal components of the standardised features of a split."""
        features = extract_features(self, store, view_px=view_px)
        self.mean, self.scale = features.mean(0), features.std(0).clamp(min=1e-12)
        standard = (features - self.mean) / self.scale
        _, _, axes = torch.linalg.svd(standard, full_matrices=False)
        self.axes, self.dim = axes[:dim].T, dim

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, dim) of normalised images (B, 3, P, P)."""
        features = torch.cat([encoder(images) for encoder in self.encoders], dim=1)
        if self.axes is None:
            return features
        return ((features - self.mean) / self.scale) @ self.axes


def joined_metrics(trials: Sequence[Path], data: Path, *, dim: int) -> dict[str, float]:
    """Return the metrics of a ridge probe on the joined features of trained encoders.

    Args:
        trials: Folders of the trials.
        data: Folder of their packed data.
        dim: Number of features to keep.
    """
    sets = StudyData(data)
    joined = Joined([_trained(trial) for trial in trials])
    view_px = _config(trials[0]).encoder.input_px
    if joined.dim > dim:
        joined.reduce(sets.store("pretrain"), dim, view_px=view_px)
    return evaluate_encoder(joined, sets, view_px=view_px, test=True)


def _config(trial: Path) -> PretrainConfig:
    newest = max((trial / "checkpoints").glob("epoch-*.ckpt"))
    return PretrainConfig.parse(RunState.from_dict(read(newest)).configuration)


def _trained(trial: Path) -> Encoder:
    encoder = build_encoder(_config(trial).encoder)
    load_weights(encoder, trial / "encoder.safetensors")
    return encoder
