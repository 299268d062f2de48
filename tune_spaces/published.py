"""Study of the compositions published later: every subset of four transformations, each pure.

Two separate searches of 15 compositions, all on the contrastive or all on the relative objective,
and the five transformations that have no relative form, alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from handssl.data.config import PackedData, ProceduralData
from handssl.stats.skeleton import subsets
from handssl.study.cell import Cell
from handssl.study.study import Halving, Study
from handssl.training.config import PretrainConfig

FOUR = ("color_jitter", "rotate", "scale", "translate")
ALONE = ("blur", "color_drop", "cutout", "noise", "sobel")


def study(
    *,
    blocks: Sequence[int] = (1, 2, 3),
    data: ProceduralData | PackedData | None = None,
    pretrain: PretrainConfig | None = None,
) -> Study:
    """Return the 15 + 15 compositions and the five other transformations; no cell stops early.

    rotate, scale and translate together reach 2.13 box sides: pack with `--context 2.15`.

    Args:
        blocks: Seeds.
        data: The images; default: procedural hands with that context.
        pretrain: Settings that all cells share; default: the paper's.

    Returns:
        The study.

    Example:
        >>> len(study().cells)
        35

    Reference:
        Table 5 and Fig. 3 of the published version.
    """
    pure = [
        Cell(composition=subset, objective=objective, exempt=True)
        for objective in ("contrastive", "relative")
        for subset in subsets(FOUR)[1:]
    ]
    return Study(
        name="published",
        stage="compositions",
        cells=(*pure, *(Cell(composition=(name,), exempt=True) for name in ALONE)),
        blocks=tuple(blocks),
        data=data or ProceduralData(context=2.15),
        pretrain=pretrain or PretrainConfig(),
        halving=Halving(),
    )
