"""2.5D targets of a packed split, in the units the probe regresses."""

from __future__ import annotations

import numpy as np
import torch

from handssl.data.store import PackedSplit
from handssl.objectives import PoseTarget
from handssl.pose import encode_2_5d


def pose_targets(store: PackedSplit) -> PoseTarget:
    """Return uv in box sides from the centre of the crop, and z in bone lengths.

    Args:
        store: A labelled packed split.

    Returns:
        float32 targets of all N samples; z is 0 at the root and where a joint has no label.

    Raises:
        DataError: The split is unlabelled.
    """
    manifest = store.manifest
    pose = encode_2_5d(store.label("xyz"), store.label("camera"))
    valid = store.label("valid")
    z = np.where(valid, pose.z, 0.0)
    uv = ((store.label("uv") + 0.5) / manifest.crop_px - 0.5) * manifest.context
    return PoseTarget(
        uv=torch.from_numpy(uv).float(),
        z=torch.from_numpy(z).float(),
        valid=torch.from_numpy(valid),
    )


def complete_hands(target: PoseTarget) -> torch.Tensor:
    """Return the rows (M,) with a label for every joint, used to fit a linear layer."""
    return target.valid.all(dim=1).nonzero()[:, 0]


def as_columns(target: PoseTarget) -> torch.Tensor:
    """Return targets as the 63 columns of the probe: 42 of uv, then 21 of z."""
    return torch.cat((target.uv.flatten(1), target.z), dim=1)


def from_columns(columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (uv (N, 21, 2), z (N, 21)) from the probe's 63 columns."""
    return columns[:, :42].reshape(-1, 21, 2), columns[:, 42:]
