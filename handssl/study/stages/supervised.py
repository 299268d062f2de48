"""Stage of Sec. 4.5: comparison with fully supervised models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from handssl.config import Config
from handssl.models import EncoderConfig
from handssl.models.config import ProjectionName, Units, Width
from handssl.models.multiply_adds import encoder_multiply_adds, equal_resnet
from handssl.stats.paired import Errors
from handssl.stats.verdict import judge
from handssl.study.cell import Cell, Slug
from handssl.study.stages.base import (
    CHOOSE_A_CELL,
    Mistake,
    Names,
    Selection,
    Selections,
    StageBase,
)
from handssl.study.stages.findings import Finding, final_errors
from handssl.training.config import PretrainConfig


class HeatmapRows(Config):
    """The heatmap network of the comparison, and the direct regressor that costs as much.

    Attributes:
        width: Channels of its convolutions; 256 in the reference.
        stages: Number of its encoder-decoders.
        map_stride: Pixels of the input for each pixel of its maps.
        projection: Projection head on its maps: `mlp` on all of them, or `soft_argmax`.
        hidden: Hidden units of projection and relative heads on its maps; 2,048 on maps of 32 x 32
            pixels are 88 million weights.
        settings: Further dotted keys of the pretraining for rows with this network, such as
            `{optimizer.lr_base: 1e-3}`.
    """

    width: Width = 64
    stages: Annotated[int, Field(ge=1, le=4)] = 1
    map_stride: Literal[1, 2, 4] = 4
    projection: ProjectionName = "mlp"
    hidden: Units = 64
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def encoder(self) -> EncoderConfig:
        """The network, at 128 px."""
        return EncoderConfig(
            name="heatmap", width=self.width, stages=self.stages, map_stride=self.map_stride
        )

    @property
    def network(self) -> dict[str, Any]:
        """Settings of every row with this network."""
        values = self.encoder.model_dump(mode="json", exclude={"input_px"})
        return {**{f"encoder.{name}": value for name, value in values.items()}, **self.settings}

    @property
    def pretrained(self) -> dict[str, Any]:
        """Settings of the self-supervised row."""
        heads = {"projection_hidden": self.hidden, "relative_hidden": self.hidden}
        points = {} if self.projection == "mlp" else {"projection": self.projection}
        return {**self.network, **{f"heads.{k}": v for k, v in {**heads, **points}.items()}}

    @property
    def direct(self) -> dict[str, Any]:
        """Settings of the ResNet-18 with the nearest number of multiply-adds, at 128 px."""
        return {"encoder.width": equal_resnet(self.encoder).width}

    @property
    def cost(self) -> str:
        """The multiply-adds of both networks in words."""
        direct = EncoderConfig(width=self.direct["encoder.width"])
        own, other = map(encoder_multiply_adds, (self.encoder, direct))
        return (
            f"multiply-adds of a view at 128 px: heatmap {own / 1e6:,.1f} million, ResNet-18 of "
            f"width {direct.width} {other / 1e6:,.1f} million, {other / own:.2f} times as many"
        )


class SupervisedStage(StageBase):
    """The best self-supervised cell and supervised cells; none is ever stopped.

    The supervised arms are trained on the labelled images of `probe`: without augmentation, with
    the composition of the best cell, and with the listed compositions.

    With `heatmap`, the best cell is also trained with the heatmap network, frozen and read by its
    head, and every supervised arm with that network, end to end, and as a direct regression by the
    ResNet-18 of equal multiply-adds. Their paired differences stand in the reasons, with intervals
    that hold for all of them together.

    Attributes:
        kind: `supervised`.
        after: Name of the stage whose best cell is used.
        compositions: Further augmentations of the supervised arm.
        heatmap: The heatmap network; None: rows with the study's own encoder alone.

    Reference:
        Paper, Sec. 4.5.
    """

    kind: Literal["supervised"] = "supervised"
    name: Slug = "supervised"
    after: Slug = "compositions"
    compositions: tuple[Names, ...] = ()
    heatmap: HeatmapRows | None = None
    _follows: ClassVar[tuple[str, ...]] = CHOOSE_A_CELL
    added: ClassVar[Mapping[str, Any]] = {"heatmap": None}

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the best cell and the supervised ones, then those of the heatmap network."""
        best = before[self.after].best
        listed = (tuple(sorted(names)) for names in self.compositions)
        chosen = {(), *listed, *((best.composition,) if best else ())}
        arms = [
            Cell(composition=composition, objective="supervised", exempt=True)
            for composition in sorted(chosen, key=lambda one: (len(one), one))
        ]
        own = [best.merged({"exempt": True})] if best else []
        return (*own, *arms, *self._of_heatmap(own, arms))

    def mistakes_of_trials(self, configs: Sequence[PretrainConfig]) -> list[Mistake]:
        """Return a mistake if the ResNet-18 of equal cost is the study's own encoder."""
        ids = [config.model_dump_json() for config in configs]
        if self.heatmap is None or len(set(ids)) == len(ids):
            return []
        width = self.heatmap.direct["encoder.width"]
        return [
            (
                ("heatmap", "width"),
                f"the ResNet-18 of equal multiply-adds has width {width}, as the study's own "
                "encoder, so that both rows are one trial; expected another heatmap.width, or "
                "another pretrain.encoder.width",
            )
        ]

    def decide(self, findings: Sequence[Finding], before: Selections) -> Selection:
        """Return the best cell, and the paired differences between the networks."""
        selection = self.select(findings)
        if self.heatmap is None:
            return selection
        found = final_errors(findings)
        pairs = self._pairs([cell.label for cell in self.resolved(before)], before)
        reasons = (self.heatmap.cost, *(_compared(*pair, found, len(pairs)) for pair in pairs))
        return selection.merged({"reasons": (*selection.reasons, *reasons)})

    def _of_heatmap(self, own: Sequence[Cell], arms: Sequence[Cell]) -> list[Cell]:
        """Return the self-supervised row, then supervised heatmaps, then direct regressors."""
        if self.heatmap is None:
            return []
        return [
            *(_with(cell, self.heatmap.pretrained) for cell in own),
            *(_with(cell, self.heatmap.network) for cell in arms),
            *(_with(cell, self.heatmap.direct) for cell in arms),
        ]

    def _pairs(self, labels: Sequence[str], before: Selections) -> list[tuple[str, str]]:
        """Return the labels of the rows that are compared with each other."""
        has_best = before[self.after].best is not None
        arms = (len(labels) - 2 * has_best) // 3
        heat = len(labels) - 2 * arms
        supervised, direct = labels[heat : heat + arms], labels[heat + arms :]
        frozen = labels[heat - 1]
        return [
            *([(frozen, labels[0])] if has_best else []),
            *([(frozen, one) for one in supervised] if has_best else []),
            *zip(supervised, direct, strict=True),
        ]


def _with(cell: Cell, settings: Mapping[str, Any]) -> Cell:
    return cell.model_copy(update={"settings": {**cell.settings, **settings}})


def _compared(first: str, second: str, errors: Mapping[str, Errors], pairs: int) -> str:
    verdict = judge(errors.get(first, {}), errors.get(second, {}), cells=pairs)
    return f"{first} against {second}: {verdict.word}, {verdict.reason}"
