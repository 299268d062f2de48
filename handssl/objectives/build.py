"""From the name and options of an objective to the module."""

from __future__ import annotations

from handssl.augment import AugmentConfig
from handssl.models import HeadConfig
from handssl.objectives.config import MixedPairs, ObjectiveName, RelativeConfig, Weighting
from handssl.objectives.contrastive import Contrastive
from handssl.objectives.equivariant import Equivariant
from handssl.objectives.mixed import Mixed
from handssl.objectives.relative import Relative
from handssl.objectives.supervised import Supervised

Objective = Contrastive | Relative | Mixed | Equivariant | Supervised


def build_objective(
    name: ObjectiveName,
    *,
    dim: int,
    heads: HeadConfig,
    augmentation: AugmentConfig,
    composition: tuple[str, ...],
    temperature: float,
    relative: RelativeConfig | None = None,
    relative_on: tuple[str, ...] = (),
    mixed: MixedPairs = "split",
    contrastive_weight: Weighting = "learned",
) -> Objective:
    """Return the objective a configuration names, its heads uninitialised.

    Args:
        name: The objective.
        dim: Size of the features.
        heads: Sizes of the heads.
        augmentation: Ranges of the transformations.
        composition: The transformations that are on.
        temperature: tau of Eq. 1.
        relative: Options of Eq. 2 and 3.
        relative_on: `mixed`: the transformations on the relative objective.
        mixed: `mixed`: whether its terms have a pair of views each.
        contrastive_weight: `mixed`: weight of its contrastive term.

    Raises:
        InputError: The composition has nothing that the objective needs.
    """
    if name == "contrastive":
        return Contrastive(dim, heads, temperature)
    if name == "relative":
        return Relative(dim, heads, augmentation, composition, relative)
    if name == "equivariant":
        return Equivariant(dim, heads, composition, temperature)
    if name == "supervised":
        return Supervised(dim)
    return Mixed(
        dim,
        heads,
        augmentation,
        composition,
        relative_on=relative_on,
        temperature=temperature,
        pairs=mixed,
        contrastive_weight=contrastive_weight,
        options=relative,
    )
