"""Study of Sec. 4.2: invariance or equivariance for each transformation.

Every transformation alone with the contrastive objective (Eq. 1), those with parameters also with
the relative objective (Eq. 2, 3). The two arms of one transformation are rivals: they are compared
at equal epochs, so neither is ever stopped early.
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
    name: str = "objectives",
    without_cue: bool = False,
) -> Study:
    """Return the cells of Sec. 4.2 as a study.

    Args:
        transformations: Names of those to compare; default: the paper's seven, ten cells.
        blocks: Seeds; every cell runs once with each.
        data: The images; default: procedural hands.
        pretrain: Settings that all cells share; default: the paper's.
        halving: When cells without a rival may stop; default: a third continues at each rung.
        name: Name of the study.
        without_cue: Whether a row without the trace of resampling stands beside relative rotate
            and scale.

    Returns:
        The study, with its references: mean pose, true-angle oracle, ridges on RGB pixels and on
        HOG features, random encoder, supervised.

    Raises:
        InputError: A transformation is unknown or a value out of range; all mistakes are listed.

    Example:
        >>> stage = study().all_stages[0]
        >>> len(stage.cells({}))
        10
    """
    return Study.parse(
        {
            "name": name,
            "stages": [
                {
                    "kind": "objectives",
                    "transformations": tuple(transformations),
                    "without_cue": without_cue,
                }
            ],
            "blocks": tuple(blocks),
            "data": data or ProceduralData(),
            "pretrain": pretrain or PretrainConfig(),
            "halving": halving or Halving(),
        }
    )
