"""Features of many photos, with the names of their files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handssl.errors import HandsslError
from handssl.inference.model import HandModel
from handssl.inference.photo import Photo
from handssl.inference.predict import BATCH, features_of

Reader = Callable[[], Photo]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Features of photos.

    Attributes:
        names: Names of the photos, in order.
        features: float32 (N, dim).
        failed: Errors of the photos that could not be read.
    """

    names: tuple[str, ...]
    features: NDArray[np.float32]
    failed: tuple[HandsslError, ...]


def embed(
    model: HandModel,
    readers: Iterable[tuple[str, Reader]],
    *,
    on_progress: Callable[[int], None] | None = None,
    batch: int = BATCH,
) -> Embedding:
    """Return the features of photos: what the read-out of the model reads the joints from.

    Args:
        model: The model.
        readers: Name and reader of each photo; only the photos of one batch are in memory.
        on_progress: Called with the number of photos done.
        batch: Number of photos encoded at once.
    """
    iterator, names, parts = iter(readers), list[str](), list[NDArray[np.float32]]()
    failed: list[HandsslError] = []
    done = 0
    while chunk := list(itertools.islice(iterator, batch)):
        photos = _read(chunk, failed)
        if photos:
            parts.append(features_of(model, [photo for _, photo in photos]).numpy())
            names += [name for name, _ in photos]
        done += len(chunk)
        if on_progress is not None:
            on_progress(done)
    nothing = np.empty((0, model.encoder.dim), np.float32)
    return Embedding(tuple(names), np.concatenate([nothing, *parts]), tuple(failed))


def _read(chunk: list[tuple[str, Reader]], failed: list[HandsslError]) -> list[tuple[str, Photo]]:
    photos = []
    for name, read in chunk:
        try:
            photos.append((name, read()))
        except HandsslError as error:
            failed.append(error)
    return photos
