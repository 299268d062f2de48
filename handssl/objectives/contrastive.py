"""The contrastive objective: Eq. 1 of the paper."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from handssl.errors import InputError


def nt_xent(z_a: torch.Tensor, z_b: torch.Tensor, *, temperature: float) -> torch.Tensor:
    r"""Return the normalised temperature-scaled cross entropy of pairs.

    For anchor i with positive j among the 2N projections of both views,
    l_i = -log( exp(sim(z_i, z_j) / tau) / sum_{k != i} exp(sim(z_i, z_k) / tau) ), sim the cosine;
    the result is the mean of l_i over all 2N anchors.

    Args:
        z_a: (N, D), projections of the first views, N >= 2; normalised inside.
        z_b: (N, D), projections of the second views, row by row the positives of `z_a`.
        temperature: tau > 0.

    Returns:
        Scalar.

    Raises:
        InputError: Shapes differ, N < 2, or the temperature is not positive.

    Example:
        >>> z = torch.eye(2)
        >>> round(float(nt_xent(z, z, temperature=1.0)), 4)
        0.5514

    Reference:
        Eq. 1; T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A simple framework for contrastive
        learning of visual representations", ICML 2020.
    """
    _check(z_a, z_b, temperature)
    z = F.normalize(torch.cat((z_a, z_b)), dim=1)
    logits = z @ z.T / temperature
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positives = torch.arange(len(z), device=z.device).roll(len(z_a))
    return F.cross_entropy(logits.masked_fill(itself, float("-inf")), positives)


def _check(z_a: torch.Tensor, z_b: torch.Tensor, temperature: float) -> None:
    if z_a.shape != z_b.shape or z_a.ndim != 2 or len(z_a) < 2:
        raise InputError(
            "nt_xent: expected two equal shapes (N, D) with N >= 2 (one pair has no negatives), "
            f"got {tuple(z_a.shape)} and {tuple(z_b.shape)}"
        )
    if not temperature > 0:
        raise InputError(f"nt_xent: expected temperature > 0, got {temperature}")
