"""Interface of the objectives: inputs, outputs and attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from handssl.data.sample import Split
from handssl.transforms import Draw


@dataclass(frozen=True)
class Encoded:
    """One encoded view of a batch, the input of an objective.

    Attributes:
        h: Features, (B, dim).
        theta: Drawn parameters by transformation, (B, 1 + k) each, the applied flag first.
        matrix: Map from view to stored crop in box sides, (B, 2, 3).
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
        uv: Joints in box sides from the centre of the stored crop, (B, 21, 2).
        z: Root-relative depths in bone lengths, (B, 21).
        valid: Whether each joint's labels may be used, bool (B, 21).
    """

    uv: torch.Tensor
    z: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class Losses:
    """Losses of one step; `total` is minimised, the rest is logged.

    With several ranks each has its share: the mean over ranks is the loss of the global batch.
    """

    total: torch.Tensor
    terms: dict[str, torch.Tensor] = field(default_factory=dict)
    sigmas: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def mean(cls, parts: Sequence[Losses]) -> Losses:
        """Return the mean of the losses of several passes, with the sigmas of the last."""
        if len(parts) == 1:
            return parts[0]
        total = torch.stack([part.total for part in parts]).mean()
        names = parts[0].terms
        terms = {name: torch.stack([part.terms[name] for part in parts]).mean() for name in names}
        return cls(total, terms, parts[-1].sigmas)


class ObjectiveModule(Protocol):
    """Interface of the objectives, each a `torch.nn.Module`.

    Attributes:
        draws: Draw of each view of a step.
        split: Split of the images.
    """

    draws: tuple[Draw, ...]
    split: Split

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return the losses of a step.

        Args:
            views: Views in the order of `draws`, with equal batch sizes.
            target: Labels if `split` is `probe`, else None.
        """
