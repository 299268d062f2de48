"""The whole study of the paper: Sec. 4.1 to 4.5 on FreiHAND and InterHand2.6M."""

from __future__ import annotations

from collections.abc import Sequence

from handssl.data.config import OneData, PackedData
from handssl.objectives import ObjectiveName
from handssl.study.study import Halving, Study
from tune_spaces import cross_dataset, hyperparameters, supervised

ARMS: tuple[ObjectiveName, ...] = ("contrastive", "relative", "supervised")
HALVING = Halving(grace_epochs=11, reduction_factor=3.0)


def study(
    *,
    blocks: Sequence[int] = (1, 2, 3),
    data: OneData | None = None,
    across: bool = True,
    search: bool = True,
) -> Study:
    """Return the study.

    Args:
        blocks: Seeds.
        data: The images; default: FreiHAND.
        across: Whether the second dataset is there too, for Sec. 4.4: InterHand2.6M, or procedural
            hands seen from any side if `data` is procedural.
        search: Whether hyperparameters are searched first (Sec. 4.1), so that contrastive, relative
            and supervised cells have their own best learning rate.

    Returns:
        Stages hyperparameters, objectives, compositions, swapped, confirmation, cross_dataset,
        supervised.

    Example:
        >>> [stage.name for stage in study().all_stages][1:4]
        ['objectives', 'compositions', 'swapped']
    """
    return Study.parse(
        {
            "name": "paper",
            "data": data or PackedData(name="freihand"),
            "blocks": tuple(blocks),
            "halving": HALVING,
            "stages": [
                *([hyperparameters.stage(objectives=ARMS)] if search else []),
                {"kind": "objectives", "without_cue": True},
                {"kind": "compositions"},
                {"kind": "swapped"},
                {"kind": "confirmation"},
                *([cross_dataset.stage(first=data)] if across else []),
                supervised.stage(),
            ],
        }
    )
