"""What every objective takes and returns, and what the loop may ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

from handssl.augment import Draw
from handssl.data.sample import Split


@dataclass(frozen=True)
class Encoded:
    """What an objective sees of one view of a batch.

    Attributes:
        h: (B, dim), features.
        theta: Draws, each (B, 1 + k) with the applied flag first.
        matrix: (B, 2, 3), view to stored crop in box sides.
    """

    h: torch.Tensor
    theta: Mapping[str, torch.Tensor]
    matrix: torch.Tensor

    def parameters(self, transformation: str) -> torch.Tensor:
        """Return the parameters of a transformation, (B, k), without the applied flag."""
        return self.theta[transformation][:, 1:]


@dataclass(frozen=True)
class PoseTarget:
    """Labels of a batch, for the supervised objective.

    Attributes:
        uv: (B, 21, 2), box sides from the centre of the stored crop.
        z: (B, 21), root-relative depth in bone lengths.
        valid: bool (B, 21).
    """

    uv: torch.Tensor
    z: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class Losses:
    """Losses of one step; `total` is what is minimised, the rest is for the record.

    With several ranks each holds its share: the mean over ranks is the loss of the global batch.
    """

    total: torch.Tensor
    terms: dict[str, torch.Tensor] = field(default_factory=dict)
    sigmas: dict[str, torch.Tensor] = field(default_factory=dict)


class ObjectiveModule(Protocol):
    """The interface of the objectives, each a `torch.nn.Module`.

    Attributes:
        draws: The draws that the views of a step take, one entry a view.
        split: Where the images come from.
    """

    draws: tuple[Draw, ...]
    split: Split

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return the losses of a step.

        Args:
            views: In the order of `draws`, equal batch sizes.
            target: Labels where `split` is `probe`, else None.
        """
