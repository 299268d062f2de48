"""Study of Sec. 4.3: the best composition, with each transformation on its decided objective.

First Sec. 4.2, which decides the objective of each transformation; then all 2^k subsets,
mixed in one pretraining if a subset has transformations on both objectives.
"""

from __future__ import annotations

from collections.abc import Sequence

from handssl.data.config import PackedData, ProceduralData
from handssl.study.study import Halving, Study
from handssl.training.config import PretrainConfig
from handssl.transforms import PAPER_SEVEN


def study(
    *,
    transformations: Sequence[str] = PAPER_SEVEN,
    blocks: Sequence[int] = (1, 2, 3),
    data: ProceduralData | PackedData | None = None,
    pretrain: PretrainConfig | None = None,
    halving: Halving | None = None,
    skeleton: int = 16,
    name: str = "compositions",
) -> Study:
    """Return Sec. 4.2 and 4.3 as a study of two stages.

    Args:
        transformations: Names of those to compose; the paper's seven give 10 and 128 cells.
        blocks: Seeds; every cell runs once with each.
        data: The images; default: procedural hands.
        pretrain: Settings that all cells share; default: the paper's.
        halving: When cells may stop; default: a third continues at each rung.
        skeleton: Number of cells of the orthogonal fraction, which never stop early; 0: none.
        name: Name of the study.

    Returns:
        The study.

    Raises:
        InputError: A transformation is unknown or a value out of range; all mistakes are listed.

    Example:
        >>> [stage.name for stage in study().all_stages]
        ['objectives', 'compositions']
    """
    return Study.parse(
        {
            "name": name,
            "stages": [
                {"kind": "objectives", "transformations": tuple(transformations)},
                {"kind": "compositions", "skeleton": skeleton},
            ],
            "blocks": tuple(blocks),
            "data": data or ProceduralData(),
            "pretrain": pretrain or PretrainConfig(),
            "halving": halving or Halving(),
        }
    )
