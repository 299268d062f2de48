"""Mixed objective: invariant to some transformations, equivariant to the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from handssl.data.sample import Split
from handssl.models import HeadConfig, MapShape, projection_head
from handssl.objectives.config import MixedPairs, RelativeConfig, Weighting
from handssl.objectives.contrastive import nt_xent
from handssl.objectives.interface import Encoded, Losses, PoseTarget
from handssl.objectives.relative import RelativeLoss
from handssl.objectives.targets import regressed_ranges
from handssl.objectives.weights import build_weights
from handssl.transforms import AugmentConfig, Draw

CONTRASTIVE = "contrastive"


class Mixed(nn.Module):
    """Eq. 1 for the transformations C and Eq. 2 for the transformations R of a composition.

    `joint`: two views, all drawn independently, for both terms, as Eq. 3 reads. Its contrastive
    term also requires invariance to R, in conflict with its relative term.

    `split`: four views. The contrastive pair draws C independently and shares one draw of R, so
    invariance to R is not required. The relative pair draws R independently; C is drawn and
    applied to it, but not predicted. R's draws of the relative pair are those of the objective
    `relative`, C's draws of the contrastive pair those of `contrastive`. A step costs two of
    the other objectives, and the shared draw of R makes the contrastive task easier.

    The loss is Eq. 3 over the relative terms and the contrastive term, which has a weighting of
    its own.

    Args:
        dim: Size of the features.
        heads: Sizes of the heads.
        augmentation: Ranges, for the normalisation of targets.
        composition: The enabled transformations, C and R.
        relative_on: R, all regressable and part of the composition.
        temperature: tau of Eq. 1.
        pairs: `split` or `joint`.
        contrastive_weight: Weighting of the contrastive term.
        options: Norm, order and weighting of the relative terms.
        maps: Shape of the maps, if the features are vectorised maps.
    """

    split: Split = "pretrain"

    def __init__(
        self,
        dim: int,
        heads: HeadConfig,
        augmentation: AugmentConfig,
        composition: Sequence[str],
        *,
        relative_on: Sequence[str],
        temperature: float,
        pairs: MixedPairs = "joint",
        contrastive_weight: Weighting = "learned",
        options: RelativeConfig | None = None,
        maps: MapShape | None = None,
    ) -> None:
        super().__init__()
        options = options or RelativeConfig()
        ranges = regressed_ranges(relative_on, augmentation)
        self.draws: tuple[Draw, ...] = (
            split_draws(composition, relative_on) if pairs == "split" else (0, 1)
        )
        self.temperature = temperature
        self.projection = projection_head(dim, heads, maps)
        self.relative = RelativeLoss(dim, heads.relative_hidden, ranges, options)
        self.weights = build_weights(options.weighting, list(ranges))
        self.contrastive_weights = build_weights(contrastive_weight, [CONTRASTIVE])

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return Eq. 3 over the relative terms plus the weighted contrastive term."""
        first, second = views[:2]
        z_a, z_b = self.projection(torch.cat((first.h, second.h))).chunk(2)
        contrastive = {CONTRASTIVE: nt_xent(z_a, z_b, temperature=self.temperature)}
        relative = self.relative.of_pair(*views[-2:])
        total = self.weights(relative) + self.contrastive_weights(contrastive)
        terms = {name: loss.detach() for name, loss in (relative | contrastive).items()}
        return Losses(total, terms, self.weights.sigmas() | self.contrastive_weights.sigmas())


def split_draws(composition: Sequence[str], relative_on: Sequence[str]) -> tuple[Draw, ...]:
    """Return the draws of the contrastive pair, then those of the relative pair.

    No two views of a step are the same image: views that share a draw of R differ in that of C.

    Args:
        composition: The enabled transformations.
        relative_on: R, the transformations of the relative term.

    Example:
        >>> for draw in split_draws(["blur", "rotate"], ["rotate"]):
        ...     print(draw)
        {'blur': 0, 'rotate': 2}
        {'blur': 1, 'rotate': 2}
        {'blur': 2, 'rotate': 0}
        {'blur': 3, 'rotate': 1}
    """
    numbers = ((0, 2), (1, 2), (2, 0), (3, 1))
    return tuple(
        {name: for_r if name in relative_on else for_c for name in sorted(composition)}
        for for_c, for_r in numbers
    )
