"""Objectives: contrastive (Eq. 1), relative (Eq. 2 and 3), supervised."""

from handssl.objectives.build import (
    OBJECTIVES,
    Encoded,
    Losses,
    Objective,
    ObjectiveName,
    PoseTarget,
    Supervised,
    build_objective,
)
from handssl.objectives.contrastive import nt_xent
from handssl.objectives.relative import LearnedWeights, RelativeLoss, relative_target

__all__ = [
    "OBJECTIVES",
    "Encoded",
    "LearnedWeights",
    "Losses",
    "Objective",
    "ObjectiveName",
    "PoseTarget",
    "RelativeLoss",
    "Supervised",
    "build_objective",
    "nt_xent",
    "relative_target",
]
