"""Objectives: contrastive (Eq. 1), relative (Eq. 2 and 3), mixed, equivariant, supervised."""

from handssl.objectives.build import Objective, build_objective
from handssl.objectives.config import (
    OBJECTIVES,
    EquivariantConfig,
    FinetuneConfig,
    Inversion,
    MixedPairs,
    ObjectiveName,
    RelativeConfig,
    Weighting,
)
from handssl.objectives.contrastive import Contrastive, nt_xent, nt_xent_floor
from handssl.objectives.equivariant import INVERTIBLE, Equivariant, check_equivariant, undo
from handssl.objectives.heatmap_regression import HeatmapRegression, heatmap_losses
from handssl.objectives.interface import Encoded, Losses, ObjectiveModule, PoseTarget
from handssl.objectives.mixed import Mixed
from handssl.objectives.relative import Relative, RelativeLoss
from handssl.objectives.supervised import Supervised
from handssl.objectives.targets import relative_target
from handssl.objectives.weights import FixedWeights, LearnedWeights, LogSumWeights, project

__all__ = [
    "INVERTIBLE",
    "OBJECTIVES",
    "Contrastive",
    "Encoded",
    "Equivariant",
    "EquivariantConfig",
    "FinetuneConfig",
    "FixedWeights",
    "HeatmapRegression",
    "Inversion",
    "LearnedWeights",
    "LogSumWeights",
    "Losses",
    "Mixed",
    "MixedPairs",
    "Objective",
    "ObjectiveModule",
    "ObjectiveName",
    "PoseTarget",
    "Relative",
    "RelativeConfig",
    "RelativeLoss",
    "Supervised",
    "Weighting",
    "build_objective",
    "check_equivariant",
    "heatmap_losses",
    "nt_xent",
    "nt_xent_floor",
    "project",
    "relative_target",
    "undo",
]
