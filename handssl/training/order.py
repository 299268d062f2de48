"""Which samples an epoch visits, in which order, and how many steps that makes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handssl.data.store import PackedSplit
from handssl.errors import InputError
from handssl.randomness import permutation


def epoch_order(store: PackedSplit, length: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return which samples an epoch visits, in order.

    Args:
        store: The split.
        length: Samples visited; a smaller split is passed over again in a new order.
        seed: The trial's seed.
        epoch: Counted from 1.

    Returns:
        int64 (length,), a pure function of the arguments.
    """
    passes = -(-length // len(store))
    orders = [permutation(len(store), "order", seed, epoch, index) for index in range(passes)]
    return np.concatenate(orders)[:length]


def whole_batches(images: int, batch: int, *, least: int) -> int:
    """Return how many whole batches a split has.

    Args:
        images: In the split.
        batch: Images of one.
        least: How many a step of an equally compared arm takes.

    Raises:
        InputError: The split has fewer than `least`.
    """
    if images < least * batch:
        counted = "" if least == 1 else f" (with equal_views a step takes the views of {least})"
        raise InputError(
            f"expected at least {'one batch' if least == 1 else f'{least} batches'} of {batch} "
            f"pretraining images{counted}, the split has {images}; "
            "lower global_batch or use more images"
        )
    return images // batch
