"""Configuration of a single pretraining run, read by `handssl pretrain`."""

from __future__ import annotations

from handssl.config import Config
from handssl.data.config import DataConfig, ProceduralData
from handssl.study.study import Cell, Slug, Study
from handssl.training.config import PretrainConfig


class RunConfig(Config):
    """One pretraining run: read from YAML with `RunConfig.load`, or built in Python.

    Attributes:
        name: Name of the MLflow experiment.
        data: Configuration of the dataset.
        pretrain: Composition, objective, seed and all other settings of the pretraining.

    Example:
        >>> RunConfig.parse({"pretrain": {"composition": ["rotate"], "epochs": 20}}).study().blocks
        (1,)
    """

    name: Slug = "pretrain"
    data: DataConfig = ProceduralData()
    pretrain: PretrainConfig = PretrainConfig()

    def study(self) -> Study:
        """Return the study of this one trial: same identity, same records, same table."""
        of_cells = ("composition", "objective", "relative_on", "seed")
        shared = self.pretrain.model_dump(mode="json", exclude=set(of_cells))
        cell = Cell(
            composition=self.pretrain.composition,
            objective=self.pretrain.objective,
            relative_on=self.pretrain.relative_on,
            exempt=True,
        )
        return Study(
            name=self.name,
            stage="finetune" if self.pretrain.is_finetuned else "pretrain",
            data=self.data,
            pretrain=PretrainConfig.parse(shared),
            cells=(cell,),
            blocks=(self.pretrain.seed,),
            halving=None,
            references=False,
        )
