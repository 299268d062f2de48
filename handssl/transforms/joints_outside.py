"""Share of hands with a joint outside of their view, for each geometric transformation alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from handssl.transforms.config import AugmentConfig
from handssl.transforms.sampling import draw_theta
from handssl.transforms.warp import view_matrix, visible

MOVES = ("translate", "rotate", "scale")
TOGETHER = "together"


def joints_outside(
    points: torch.Tensor,
    valid: torch.Tensor,
    ids: torch.Tensor,
    *,
    config: AugmentConfig,
    composition: Sequence[str] = MOVES,
    seed: int = 0,
) -> dict[str, float]:
    """Return the share of hands with at least one labelled joint outside of a drawn view.

    A joint that a view does not show can't be predicted from it, and a pair of such views shares
    less of the hand. The views are the first of each image in epoch 1.

    Args:
        points: Joints in the stored crop, (N, J, 2), box sides from the box centre.
        valid: Whether each joint is labelled, bool (N, J).
        ids: Sample ids, integers (N,), which determine the draws.
        config: Ranges.
        composition: Transformations; those that move nothing are left out.
        seed: The trial's seed.

    Returns:
        Share in [0, 1] by transformation, each alone, and of all of them as `together` if there are
        several.

    Example:
        >>> corner = torch.full((100, 1, 2), 0.45)
        >>> known, ids = torch.ones(100, 1, dtype=torch.bool), torch.arange(100)
        >>> 0.3 < joints_outside(corner, known, ids, config=AugmentConfig())["translate"] < 0.7
        True
    """
    moves = [name for name in MOVES if name in composition]
    sets = {name: (name,) for name in moves} | ({TOGETHER: tuple(moves)} if moves[1:] else {})
    shares = {}
    for name, together in sets.items():
        theta = draw_theta(config, together, ids, seed=seed, epoch=1, view=0)
        inside = visible(points, view_matrix(theta, points).to(points.dtype))
        shares[name] = float((valid & ~inside).any(1).double().mean())
    return shares
