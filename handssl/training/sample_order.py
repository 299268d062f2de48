"""Sample order of an epoch, and number of batches of a split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handssl.data.store import PackedSplit
from handssl.data.union import UnionSplit, shuffled
from handssl.errors import InputError


def epoch_order(
    store: PackedSplit, length: int, seed: int, epoch: int, *, numbered: bool = False
) -> NDArray[np.int64]:
    """Return the positions of an epoch's samples, in order.

    Args:
        store: The split.
        length: Number of samples; a smaller split is repeated in a new order.
        seed: The trial's seed.
        epoch: Epoch, counted from 1.
        numbered: Whether the size of the split is added to positions at every repetition, so that
            a repetition can be told from the first pass.

    Returns:
        int64 (length,), a pure function of the arguments.
    """
    if isinstance(store, UnionSplit):
        return store.order(length, seed, epoch)
    order = shuffled(len(store), length, "order", seed, epoch)
    return order + np.arange(length) // len(store) * len(store) if numbered else order


def whole_batches(images: int, batch: int, *, least: int) -> int:
    """Return the number of whole batches of a split.

    Args:
        images: Number of images in the split.
        batch: Number of images per batch.
        least: Number of batches that one step counts as, with `equal_views`.

    Raises:
        InputError: The split has fewer than `least` batches.
    """
    if images < least * batch:
        counted = "" if least == 1 else f" (with equal_views a step takes the views of {least})"
        raise InputError(
            f"expected at least {'one batch' if least == 1 else f'{least} batches'} of {batch} "
            f"pretraining images{counted}, the split has {images}; "
            "lower global_batch or use more images"
        )
    return images // batch
