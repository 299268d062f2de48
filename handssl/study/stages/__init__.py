"""Stages of a study: cells that depend on earlier selections, and a selection rule."""

from typing import Annotated

from pydantic import Field

from handssl.study.stages.base import Selection, Selections, StageBase, with_settings
from handssl.study.stages.compositions import CompositionsStage
from handssl.study.stages.confirmation import ConfirmationStage
from handssl.study.stages.cross_dataset import CrossDatasetStage, DataSet
from handssl.study.stages.explicit import CellsStage
from handssl.study.stages.findings import Finding, best_cell
from handssl.study.stages.hyperparameters import HyperparametersStage
from handssl.study.stages.label_efficiency import LabelEfficiencyStage
from handssl.study.stages.objectives import ObjectivesStage
from handssl.study.stages.supervised import SupervisedStage
from handssl.study.stages.swapped import SwappedStage

Stage = Annotated[
    CellsStage
    | ObjectivesStage
    | CompositionsStage
    | SwappedStage
    | ConfirmationStage
    | CrossDatasetStage
    | SupervisedStage
    | LabelEfficiencyStage
    | HyperparametersStage,
    Field(discriminator="kind"),
]

__all__ = [
    "CellsStage",
    "CompositionsStage",
    "ConfirmationStage",
    "CrossDatasetStage",
    "DataSet",
    "Finding",
    "HyperparametersStage",
    "LabelEfficiencyStage",
    "ObjectivesStage",
    "Selection",
    "Selections",
    "Stage",
    "StageBase",
    "SupervisedStage",
    "SwappedStage",
    "best_cell",
    "with_settings",
]
