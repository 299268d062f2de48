"""Stages of a study: cells that depend on earlier selections, and a selection rule."""

from typing import Annotated

from pydantic import Field

from handssl.sweep.stages.base import Selection, Selections, StageBase, with_settings
from handssl.sweep.stages.compositions import CompositionsStage
from handssl.sweep.stages.cross_dataset import CrossDatasetStage, DataSet
from handssl.sweep.stages.explicit import CellsStage
from handssl.sweep.stages.findings import Finding, best_cell
from handssl.sweep.stages.hyperparameters import HyperparametersStage
from handssl.sweep.stages.objectives import ObjectivesStage
from handssl.sweep.stages.supervised import SupervisedStage

Stage = Annotated[
    CellsStage
    | ObjectivesStage
    | CompositionsStage
    | CrossDatasetStage
    | SupervisedStage
    | HyperparametersStage,
    Field(discriminator="kind"),
]

__all__ = [
    "CellsStage",
    "CompositionsStage",
    "CrossDatasetStage",
    "DataSet",
    "Finding",
    "HyperparametersStage",
    "ObjectivesStage",
    "Selection",
    "Selections",
    "Stage",
    "StageBase",
    "SupervisedStage",
    "best_cell",
    "with_settings",
]
