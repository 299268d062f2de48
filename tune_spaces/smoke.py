"""The smallest study that covers every code path of a large one; ends in seconds."""

from __future__ import annotations

from handssl.study.study import Study
from tune_spaces.demo import Size, build

SIZE = Size(
    blocks=(1,),
    pretrain=64,
    probe=64,
    select=32,
    test=32,
    image_px=64,
    input_px=32,
    width=8,
    epochs=3,
    batch=32,
    lr_base=3e-4,
    grace_epochs=1,
    reduction_factor=2.0,
)


def study() -> Study:
    """Return the study.

    Example:
        >>> study().pretrain.epochs
        3
    """
    return build(SIZE, name="smoke")
