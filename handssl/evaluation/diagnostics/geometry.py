"""Geometry of features: invariance, alignment, uniformity, effective rank, dead features."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the customary name

# A feature counts as dead if its range over the images is below this share of the largest value.
_DEAD_SHARE = 1e-6
# If cosines between images are closer to 1 than this, the index is not defined.
_ROOM = 1e-9


def invariance_measures(h_a: torch.Tensor, h_b: torch.Tensor) -> dict[str, float]:
    """Compare two views of an image with views of different images, by cosine similarity.

    index = (within - between) / (1 - between), where `within` is the mean similarity of h_a_i and
    h_b_i and `between` that of h_a_i and h_b_j for i != j. If all features are equal, `within`
    equals `between`, and the index is 0: a collapsed encoder does not count as invariant.

    Args:
        h_a: (N, D), N >= 2, features of the first views.
        h_b: (N, D), features of the second views of the same images, in the same order.

    Returns:
        invariance (the index: 1 invariant, 0 as different as other images), cosine_within and
        cosine_between in [-1, 1], and alignment in [0, 4], the mean squared distance of the
        normalised features of a pair, 2 - 2 within.

    Example:
        >>> invariance_measures(torch.eye(3), torch.eye(3))["invariance"]
        1.0

    Reference:
        Alignment: T. Wang, P. Isola, "Understanding contrastive representation learning through
        alignment and uniformity on the hypersphere", ICML 2020.
    """
    cosines = F.normalize(h_a.double(), dim=1) @ F.normalize(h_b.double(), dim=1).T
    count = len(cosines)
    within = float(cosines.diagonal().mean())
    between = (float(cosines.sum()) - count * within) / (count * (count - 1))
    index = (within - between) / (1.0 - between) if 1.0 - between > _ROOM else 0.0
    return {
        "invariance": index,
        "cosine_within": within,
        "cosine_between": between,
        "alignment": 2.0 - 2.0 * within,
    }


def uniformity(features: torch.Tensor) -> float:
    """Return the log of the mean Gaussian potential of all pairs of normalised features.

    log mean_{i != j} exp(-2 |f_i - f_j|^2): 0 if all are equal, down to about -4 if they are
    uniform on a high-dimensional sphere.

    Args:
        features: Features, (N, D), N >= 2.

    Example:
        >>> round(uniformity(torch.eye(2)), 6)
        -4.0

    Reference:
        T. Wang, P. Isola, "Understanding contrastive representation learning through alignment and
        uniformity on the hypersphere", ICML 2020.
    """
    unit = F.normalize(features.double(), dim=1)
    pairs = torch.triu_indices(len(unit), len(unit), offset=1)
    cosines = (unit @ unit.T)[pairs[0], pairs[1]].clamp(max=1.0)
    # |f_i - f_j|^2 = 2 - 2 cos
    return float(torch.exp(4.0 * cosines - 4.0).mean().log())


def effective_rank(features: torch.Tensor) -> float:
    """Return exp of the entropy of the normalised singular values of centred features.

    Args:
        features: Features, (N, D).

    Returns:
        From 1 to min(N - 1, D); 0 if all features are equal.

    Example:
        >>> round(effective_rank(torch.cat((torch.eye(3), -torch.eye(3)))), 6)
        3.0

    Reference:
        O. Roy, M. Vetterli, "The effective rank: a measure of effective dimensionality",
        EUSIPCO 2007.
    """
    x = features.double()
    values = torch.linalg.svdvals(x - x.mean(0))
    if values[0] <= _DEAD_SHARE * x.abs().max().clamp(min=1e-300):
        return 0.0
    shares = values / values.sum()
    return float(torch.exp(-torch.special.xlogy(shares, shares).sum()))


def dead_share(features: torch.Tensor) -> float:
    """Return the share of features that are constant over all images, in [0, 1].

    Args:
        features: Features, (N, D).

    Example:
        >>> dead_share(torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
        0.5
    """
    reach = features.amax(0) - features.amin(0)
    return float((reach <= _DEAD_SHARE * features.abs().max()).double().mean())


def collapse_measures(features: torch.Tensor) -> dict[str, float]:
    """Return uniformity, effective_rank and dead_share of features (N, D)."""
    return {
        "uniformity": uniformity(features),
        "effective_rank": effective_rank(features),
        "dead_share": dead_share(features),
    }
