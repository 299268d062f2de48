"""The demo: Sec. 4.2, or 4.2 and 4.3, small enough for two cores while the user waits.

All numbers that set its size are in `SIZES`, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from handssl.config import nearest
from handssl.data.config import ProceduralData
from handssl.errors import InputError
from handssl.models import EncoderConfig, HeadConfig
from handssl.optim import OptimizerConfig
from handssl.study.study import Halving, Study
from handssl.training.config import PretrainConfig
from handssl.transforms import PAPER_SEVEN
from tune_spaces import compositions, objectives


@dataclass(frozen=True)
class Size:
    """Parameters of one size of the demo.

    Attributes:
        blocks: Seeds.
        pretrain: Number of unlabelled images.
        probe: Number of labelled images that fit the probe.
        select: Number of labelled images used for selection.
        test: Number of labelled images used for reported results.
        image_px: Side of rendered images and stored crops in pixels.
        input_px: Side of the network's input in pixels.
        width: Channels of the encoder's first stage.
        epochs: Passes over the unlabelled images.
        batch: Images per update.
        lr_base: Learning rate for a batch of one. The paper's 1e-4 is meant for thousands of
            updates; in the few hundred of a demo a supervised network would barely train.
        grace_epochs: Epoch of the first rung.
        reduction_factor: At each rung, one in this many cells continues.
        transformations: Names of those compared.
        composes: Whether Sec. 4.3 follows: all subsets, each transformation on the objective
            that was decided, or on the default.
    """

    blocks: tuple[int, ...]
    pretrain: int
    probe: int
    select: int
    test: int
    image_px: int
    input_px: int
    width: int
    epochs: int
    batch: int
    lr_base: float
    grace_epochs: int
    reduction_factor: float
    transformations: tuple[str, ...] = PAPER_SEVEN
    composes: bool = False


SIZES: dict[str, Size] = {
    "small": Size(
        blocks=(1,),
        pretrain=2048,
        probe=1536,
        select=512,
        test=512,
        image_px=84,
        input_px=48,
        width=16,
        epochs=6,
        batch=64,
        lr_base=3e-4,
        grace_epochs=2,
        reduction_factor=2.0,
    ),
    "order": Size(
        blocks=(1, 2, 3),
        pretrain=6144,
        probe=2048,
        select=1024,
        test=1024,
        image_px=112,
        input_px=64,
        width=16,
        epochs=8,
        batch=64,
        lr_base=3e-4,
        grace_epochs=2,
        reduction_factor=2.0,
    ),
}
SIZES["compositions"] = replace(
    SIZES["small"], transformations=("translate", "rotate", "color_jitter"), composes=True
)


def study(size: str = "small") -> Study:
    """Return the demo's study.

    Args:
        size: `small` (one block), `order` (three), or `compositions` (Sec. 4.3 follows).

    Raises:
        InputError: There is no such size.

    Example:
        >>> len(study("order").blocks)
        3
        >>> [len(stage.cells({})) for stage in study("small").all_stages]
        [10]
    """
    if size not in SIZES:
        raise InputError(f"size: expected a size of the demo, got {size!r}{nearest(size, SIZES)}")
    return build(SIZES[size], name=f"demo-{size}")


def build(size: Size, *, name: str) -> Study:
    """Return the study of Sec. 4.2, and of 4.3 where it composes, at one size."""
    data = ProceduralData(
        pretrain=size.pretrain,
        probe=size.probe,
        select=size.select,
        test=size.test,
        image_px=size.image_px,
        crop_px=size.image_px,
    )
    pretrain = PretrainConfig(
        epochs=size.epochs,
        global_batch=size.batch,
        encoder=EncoderConfig(width=size.width, input_px=size.input_px),
        heads=HeadConfig(projection_hidden=256, projection_out=64, relative_hidden=256),
        optimizer=OptimizerConfig(lr_base=size.lr_base, warmup_epochs=1),
    )
    halving = Halving(grace_epochs=size.grace_epochs, reduction_factor=size.reduction_factor)
    # Eight subsets are too few for a fraction of them to be informative.
    space = partial(compositions.study, skeleton=0) if size.composes else objectives.study
    return space(
        transformations=size.transformations,
        blocks=size.blocks,
        data=data,
        pretrain=pretrain,
        halving=halving,
        name=name,
    )
