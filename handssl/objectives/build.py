"""Build an objective module from its name and options."""

from __future__ import annotations

from handssl.models import HeadConfig, MapShape
from handssl.objectives.config import (
    EquivariantConfig,
    MixedPairs,
    ObjectiveName,
    RelativeConfig,
    Weighting,
)
from handssl.objectives.contrastive import Contrastive
from handssl.objectives.equivariant import Equivariant
from handssl.objectives.heatmap_regression import HeatmapRegression
from handssl.objectives.mixed import Mixed
from handssl.objectives.relative import Relative
from handssl.objectives.supervised import Supervised
from handssl.transforms import AugmentConfig

Objective = Contrastive | Relative | Mixed | Equivariant | Supervised | HeatmapRegression


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
    mixed: MixedPairs = "joint",
    contrastive_weight: Weighting = "learned",
    equivariant: EquivariantConfig | None = None,
    maps: MapShape | None = None,
    stages: int = 1,
) -> Objective:
    """Return the objective with a name, its heads uninitialised.

    Args:
        name: Name of the objective.
        dim: Size of the features.
        heads: Sizes of the heads.
        augmentation: Ranges of the transformations.
        composition: The enabled transformations.
        temperature: tau of Eq. 1.
        relative: Options of Eq. 2 and 3.
        relative_on: `mixed`: the transformations of the relative term.
        mixed: `mixed`: whether its terms use separate pairs of views or the same one.
        contrastive_weight: `mixed`: weighting of its contrastive term.
        equivariant: Options of `equivariant`.
        maps: Shape of the maps, if the features are vectorised maps; `supervised` is then a
            regression of heatmaps.
        stages: Number of stages of the encoder that have maps.

    Raises:
        InputError: The composition lacks transformations that the objective needs.
    """
    if name == "contrastive":
        return Contrastive(dim, heads, temperature, maps)
    if name == "relative":
        return Relative(dim, heads, augmentation, composition, relative)
    if name == "equivariant":
        return Equivariant(dim, heads, composition, temperature, equivariant, maps)
    if name == "supervised":
        return HeatmapRegression(maps, stages, heads.depth_weight) if maps else Supervised(dim)
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
        maps=maps,
    )
