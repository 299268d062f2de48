"""Study of the compositions published later: every subset of four transformations, each pure.

Two separate searches of 15 compositions, all on the contrastive or all on the relative objective,
and the five transformations that have no relative form, alone. `code=True` with ImageNet weights
is the published recipe: every published run started from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handssl.data.config import PackedData, ProceduralData
from handssl.stats.skeleton import subsets
from handssl.study.cell import Cell
from handssl.study.study import Halving, Study
from handssl.training.config import PretrainConfig
from handssl.transforms import AugmentConfig

FOUR = ("color_jitter", "rotate", "scale", "translate")
ALONE = ("blur", "color_drop", "cutout", "noise", "sobel")

# The published code: 512 images in each of 4 passes, one order of raw targets, masks by name.
CODE: dict[str, Any] = {
    "augmentation": AugmentConfig.preset("paper_code").model_dump(mode="json"),
    "global_batch": 2048,
    "accumulation": 4,
    "relative": {"targets": "published", "order": "one"},
    "optimizer": {"masks": "published"},
}


def study(
    *,
    blocks: Sequence[int] = (1, 2, 3),
    data: ProceduralData | PackedData | None = None,
    pretrain: PretrainConfig | None = None,
    code: bool = False,
    init: str | None = None,
) -> Study:
    """Return the 15 + 15 compositions and the five other transformations; no cell stops early.

    rotate, scale and translate together reach 2.13 box sides: pack with `--context 2.15`.

    Args:
        blocks: Seeds.
        data: The images; default: procedural hands with that context.
        pretrain: Settings that all cells share; default: the paper's, or those of its code.
        code: Whether the default settings are those of the published code, quirks included, in
            place of those of the paper.
        init: Initial weights of the encoder: `random`, a file or a run; default: those of
            `pretrain`. The published runs started from torchvision's ImageNet weights.

    Returns:
        The study.

    Example:
        >>> len(study().cells)
        35
        >>> study(code=True, init="resnet18.pth").pretrain.init.weights
        'resnet18.pth'

    Reference:
        Table 5 and Fig. 3 of the published version.
    """
    pure = [
        Cell(composition=subset, objective=objective, exempt=True)
        for objective in ("contrastive", "relative")
        for subset in subsets(FOUR)[1:]
    ]
    shared = pretrain or (PretrainConfig.parse(CODE) if code else PretrainConfig())
    return Study(
        name="published-code" if code else "published",
        stage="compositions",
        cells=(*pure, *(Cell(composition=(name,), exempt=True) for name in ALONE)),
        blocks=tuple(blocks),
        data=data or ProceduralData(context=2.15, image_px=276, crop_px=276),
        pretrain=shared if init is None else shared.merged({"init": init}),
        halving=Halving(),
    )
