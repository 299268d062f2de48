"""Contrastive objective: Eq. 1 of the paper, exact for any number of ranks."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from handssl.data.sample import Split
from handssl.distributed import gather, rank, row_counts, world_size
from handssl.errors import InputError
from handssl.models import HeadConfig, MapShape, projection_head
from handssl.objectives.interface import Encoded, Losses, PoseTarget
from handssl.transforms import Draw


def nt_xent(z_a: torch.Tensor, z_b: torch.Tensor, *, temperature: float) -> torch.Tensor:
    r"""Return the normalised temperature-scaled cross entropy of pairs.

    For anchor i with positive j among the 2N projections of both views,
    l_i = -log( exp(sim(z_i, z_j) / tau) / sum_{k != i} exp(sim(z_i, z_k) / tau) ), sim the cosine;
    the result is the mean of l_i over all 2N anchors.

    With W ranks N is the total over ranks: a rank computes l_i of its own anchors against the
    gathered projections of all ranks, and returns W / 2N times their sum. The mean over ranks is
    the loss, and gradients averaged over ranks (as DistributedDataParallel does) are its gradient.

    Args:
        z_a: (n, D), projections of the first views of this rank, n >= 1; normalised here.
        z_b: (n, D), projections of the second views; row i is the positive of row i of `z_a`.
        temperature: tau > 0.

    Returns:
        Scalar.

    Raises:
        InputError: Shapes differ, a tensor is not floating point, N < 2 over all ranks, or the
            temperature is not positive.

    Example:
        >>> z = torch.eye(2)
        >>> round(float(nt_xent(z, z, temperature=1.0)), 4)
        0.5514

    Reference:
        Eq. 1; T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A simple framework for contrastive
        learning of visual representations", ICML 2020.
    """
    _check(z_a, z_b, temperature)
    rows = len(z_a)
    counts = row_counts(rows, z_a.device)
    _check_negatives(sum(counts), z_a, z_b)
    anchors = F.normalize(torch.cat((z_a, z_b)), dim=1)
    keys = _all_keys(anchors, counts)
    first = sum(counts[: rank()]) + torch.arange(rows, device=z_a.device)
    itself = torch.cat((first, first + sum(counts)))
    columns = torch.arange(len(keys), device=z_a.device)
    logits = (anchors @ keys.T / temperature).masked_fill(columns == itself[:, None], -torch.inf)
    mean = F.cross_entropy(logits, itself.roll(rows))
    # The factor is 1 if all ranks hold the same number of rows.
    return mean * (rows * len(counts) / sum(counts))


def nt_xent_floor(pairs: int, temperature: float) -> float:
    r"""Return Eq. 1 of equal positives and orthogonal negatives, ln(1 + (2N - 2) exp(-1 / tau)).

    A loss near it means that the task is solved by what both views of an image share.

    Args:
        pairs: N >= 2, pairs of the global batch.
        temperature: tau > 0.

    Example:
        >>> round(nt_xent_floor(64, 0.5), 2)
        2.89
    """
    return math.log1p((2 * pairs - 2) * math.exp(-1.0 / temperature))


class Contrastive(nn.Module):
    """Projection head and Eq. 1.

    Args:
        dim: Size of the features.
        heads: Sizes of the head.
        temperature: tau of Eq. 1.
        maps: Shape of the maps, if the features are vectorised maps.
    """

    draws: tuple[Draw, ...] = (0, 1)
    split: Split = "pretrain"

    def __init__(
        self, dim: int, heads: HeadConfig, temperature: float, maps: MapShape | None = None
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.projection = projection_head(dim, heads, maps)

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return Eq. 1 on the projections of both views, projected in one pass."""
        z_a, z_b = self.projection(torch.cat([view.h for view in views])).chunk(2)
        return Losses(nt_xent(z_a, z_b, temperature=self.temperature))


def _all_keys(anchors: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """Return the projections of all ranks: first views in rank order, then second views."""
    if world_size() == 1:
        return anchors
    # Both views of a pair side by side, so that one collective suffices.
    pairs = gather(torch.cat(anchors.chunk(2), dim=1), counts)
    return torch.cat(pairs.chunk(2, dim=1))


def _check(z_a: torch.Tensor, z_b: torch.Tensor, temperature: float) -> None:
    if z_a.shape != z_b.shape or z_a.ndim != 2:
        raise InputError(
            "nt_xent: expected two equal shapes (N, D), "
            f"got {tuple(z_a.shape)} and {tuple(z_b.shape)}"
        )
    if not (z_a.is_floating_point() and z_b.is_floating_point()):
        raise InputError(
            f"nt_xent: expected floating-point projections, got {z_a.dtype} and {z_b.dtype}; "
            "convert them, e.g. z.float()"
        )
    if not temperature > 0:
        raise InputError(f"nt_xent: expected temperature > 0, got {temperature}")


def _check_negatives(pairs: int, z_a: torch.Tensor, z_b: torch.Tensor) -> None:
    if pairs < 2:
        raise InputError(
            "nt_xent: expected two shapes (N, D) with N >= 2 over all ranks (one pair has no "
            f"negatives), got {tuple(z_a.shape)} and {tuple(z_b.shape)}"
        )
