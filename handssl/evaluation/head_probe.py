"""Probe of encoders with maps: the heatmap head, trained on frozen latent maps.

The analogue of the linear layer for the network of Sec. 4.5: it mixes maps linearly, at every pixel
with the same weights, and reads the pose from them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from handssl.evaluation.read_out import HeatmapReadOut
from handssl.evaluation.targets import from_columns
from handssl.models import HeatmapHead, MapShape
from handssl.objectives import PoseTarget, heatmap_losses
from handssl.randomness import permutation

UPDATES, BATCH = 200, 64
RATE, DEPTH_WEIGHT = 1e-2, 20 / 128


@dataclass(frozen=True)
class HeadProbe:
    """A fitted head.

    Attributes:
        fitted: The head, and the moments of the maps that it reads.
        name: `head`, or `end_to_end` if it was trained together with the encoder.
    """

    fitted: HeatmapReadOut
    name: str = "head"

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, 63) predictions for vectorised maps (N, D), in float64 on the CPU."""
        return self.fitted.predict(features)

    def chosen(self) -> dict[str, float]:
        """Return nothing: no setting of this probe is chosen on `select`."""
        return {}

    def read_out(self) -> HeatmapReadOut:
        """Return the head as it is kept."""
        return self.fitted


def fit_head(
    features: torch.Tensor, target: PoseTarget, shape: MapShape, device: torch.device | None = None
) -> HeadProbe:
    """Train a head with Adam on L_uv + alpha L_z, see `handssl.objectives.heatmap_losses`.

    Always 200 updates of 64 images, in an order that depends on nothing but their number; the rate
    falls from 0.01 to 0 as half a cosine. Maps are standardised first, so that the temperature has
    the same meaning for every encoder.

    Args:
        features: Vectorised maps of the split `probe`, (N, M h w).
        target: Labels of as many images.
        shape: Shape of the maps.
        device: Device of the head; default: the CPU.

    Reference:
        Sec. 4.5: the frozen network is trained as the supervised one.
    """
    device = device or torch.device("cpu")
    mean, scale = (part.to(device) for part in _moments(features, shape[0]))
    read_out = HeatmapReadOut(HeatmapHead(shape).to(device), mean, scale)
    module = read_out.module()
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
    for rows in _batches(len(features)):
        labels = (part[rows].to(device) for part in (target.uv, target.z, target.valid))
        uv, z = heatmap_losses(
            *from_columns(module(features[rows].to(device))), PoseTarget(*labels)
        )
        optimizer.zero_grad()
        (uv + DEPTH_WEIGHT * z).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return HeadProbe(read_out)


def trained_head(head: nn.Module) -> HeadProbe:
    """Return a head that was trained together with its encoder as a probe, `end_to_end`.

    Args:
        head: A `HeatmapHead`; it is copied, in float32.
    """
    copied = copy.deepcopy(cast(HeatmapHead, head)).float()
    zero = torch.zeros(copied.shape[0], 1, device=copied.offset.device)
    return HeadProbe(HeatmapReadOut(copied, zero, torch.ones_like(zero)), "end_to_end")


def _moments(features: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of every map, (M, 1) each."""
    maps = features.reshape(len(features), count, -1)
    deviation, mean = torch.std_mean(maps, dim=(0, 2), correction=0)
    deviation = torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation))
    return mean[:, None], deviation[:, None]


def _batches(count: int) -> Iterator[torch.Tensor]:
    """Yield the rows of every update; passes over the images follow each other."""
    size = min(BATCH, count)
    passes = -(-UPDATES * size // count)
    order = torch.cat([torch.from_numpy(permutation(count, "head", one)) for one in range(passes)])
    return iter(torch.split(order[: UPDATES * size], size))
