"""Check a packed store against its own digests, and against the files it was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from handssl.data.assembly import content_fingerprint
from handssl.data.crops import crop_sample
from handssl.data.sample import Reader
from handssl.data.shards import SHARD_ROWS, checksum, digest_labels
from handssl.data.store import PackedStore
from handssl.errors import DataError

Progress = Callable[[int, int], None]


def verify(
    store: PackedStore, *, source: Reader | None = None, on_progress: Progress | None = None
) -> list[str]:
    """Read everything and tell what is not as it was packed.

    Args:
        store: The store.
        source: The dataset it was packed from: every image is read again and compared too.
        on_progress: Called with (rows done, rows in all).

    Returns:
        One message for every run of rows, split or image that differs; empty if all is well.
    """
    found: list[str] = []
    for number, first in enumerate(range(0, store.manifest.rows, SHARD_ROWS)):
        stop = min(first + SHARD_ROWS, store.manifest.rows)
        if _shard_digest(store, first, stop) != store.manifest.shards[number]:
            found.append(
                f"{store.folder}: rows {first} to {stop - 1}: crops or labels were changed"
            )
        elif source is not None:
            found += _compare(store, source, first, stop)
        if on_progress is not None:
            on_progress(stop, store.manifest.rows)
    if not found and _fingerprint(store) != store.manifest.fingerprint:
        found.append(f"{store.folder / 'splits'}: the splits or the manifest were changed")
    return found


def _shard_digest(store: PackedStore, first: int, stop: int) -> str:
    kept = np.flatnonzero((store.labels["slots"] >= first) & (store.labels["slots"] < stop))
    content = hashlib.sha256()
    for slot in store.labels["slots"][kept]:
        content.update(checksum(store.images.array[slot]))
    labels = {name: store.labels[name][kept] for name in store.labels}
    return digest_labels(content, labels if len(kept) else {})


def _fingerprint(store: PackedStore) -> str:
    manifest = store.manifest
    return content_fingerprint(manifest.crop_px, manifest.context, manifest.shards, store.splits)


def _compare(store: PackedStore, source: Reader, first: int, stop: int) -> list[str]:
    """Pack the images of a run of rows again, in memory."""
    found = []
    slots = store.labels["slots"]
    for slot in slots[(slots >= first) & (slots < stop)].tolist():
        try:
            sample = source[slot]
            image, _ = crop_sample(sample, store.manifest.crop_px, store.manifest.context)
        except DataError as error:
            found.append(str(error))
        else:
            if not np.array_equal(image, store.images.array[slot]):
                found.append(f"{sample.source}: id {sample.id}: the image changed after packing")
    return found
