"""Features of geometrically transformed views for fitting a probe."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from handssl.data.store import PackedSplit
from handssl.evaluation.config import ProbeConfig
from handssl.evaluation.features import frozen
from handssl.evaluation.targets import pose_targets
from handssl.objectives import PoseTarget
from handssl.randomness import derive_key
from handssl.transforms import AugmentConfig, make_views, move_points, reach_boxes

_MOVES = ("rotate", "scale", "translate")
_BATCH = 256


def fitting_moves(context: float) -> tuple[str, ...]:
    """Return geometric transformations that together stay within a stored crop.

    Args:
        context: Side of the stored crop in box sides.

    Example:
        >>> fitting_moves(1.75), fitting_moves(2.2)
        (('rotate', 'translate'), ('rotate', 'scale', 'translate'))
    """
    config = AugmentConfig()
    for moves in (_MOVES, ("rotate", "translate"), ("translate",)):
        if reach_boxes(config, moves) <= context:
            return moves
    return ()


def moved_features(
    encoder: nn.Module, store: PackedSplit, config: ProbeConfig, *, view_px: int
) -> tuple[torch.Tensor, PoseTarget]:
    """Return features and labels of transformed views of every image.

    The labels are transformed with the same matrix; z, in bone lengths, does not change with
    motions in the image plane.

    Args:
        encoder: Encoder, frozen meanwhile.
        store: A labelled packed split.
        config: Options of the probe; `views` and `seed` are used.
        view_px: Side of the encoder's input in pixels.

    Returns:
        Features (views x N, D), and targets of as many rows.
    """
    target, device = pose_targets(store), next(encoder.parameters()).device
    maker = make_views(
        AugmentConfig(),
        fitting_moves(store.manifest.context),
        seed=derive_key("probe", config.seed),
        view_px=view_px,
        context=store.manifest.context,
        device=device,
    )
    rows, points = [], []
    with frozen(encoder):
        for number in range(config.views):
            for chosen in np.array_split(np.arange(len(store)), -(-len(store) // _BATCH)):
                crops, ids = store.crops(chosen).to(device), store.ids[chosen].to(device)
                view = maker(crops, ids, epoch=0, view=number)
                rows.append(encoder(view.images).float().cpu())
                points.append(move_points(target.uv[chosen], view.matrix.cpu()))
    copies = config.views
    return torch.cat(rows), PoseTarget(
        torch.cat(points), target.z.repeat(copies, 1), target.valid.repeat(copies, 1)
    )
