"""Verify a packed store against its digests and the files it was packed from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from handssl.data.assembly import content_fingerprint
from handssl.data.crops import Row, crop_sample
from handssl.data.manifest import packing_call, recipes_of
from handssl.data.sample import Reader
from handssl.data.shards import POSES, SHARD_ROWS, checksum, digest_labels
from handssl.data.store import PackedStore
from handssl.errors import DataError

Progress = Callable[[int, int], None]


def verify(
    store: PackedStore, *, source: Reader | None = None, on_progress: Progress | None = None
) -> list[str]:
    """Read the whole store and report every difference from what was packed.

    Args:
        store: The store.
        source: Dataset that it was packed from: every image is also read again and compared,
            including those that were left out.
        on_progress: Called with (rows done, total rows).

    Returns:
        One message per range of rows, split, field or image that differs; empty if none does.
    """
    rows = store.manifest.rows
    changed = [] if source is None else _other_source(store, source)
    compared = None if changed else source
    found = _sealed(store)
    for number, first in enumerate(range(0, rows, SHARD_ROWS)):
        stop = min(first + SHARD_ROWS, rows)
        if _shard_digest(store, first, stop) != store.manifest.shards[number : number + 1]:
            found.append(
                f"{store.folder}: rows {first} to {stop - 1}: crops or labels were changed"
            )
        elif compared is not None:
            changed += _compare(store, compared, first, stop)
        if on_progress is not None:
            on_progress(stop, rows)
    found = found or _counts(store)
    if not found and _fingerprint(store) != store.manifest.fingerprint:
        found = [f"{store.folder / 'splits'}: the splits or the manifest were changed"]
    return found + changed


def _sealed(store: PackedStore) -> list[str]:
    """Compare the manifest with its digest; manifests of earlier versions have none."""
    manifest = store.manifest
    if manifest.digest in ("", manifest.own_digest):
        return []
    return [f"{store.folder}: the manifest was changed after packing"]


def _counts(store: PackedStore) -> list[str]:
    """Compare the counts of the manifest with the stored labels."""
    manifest = store.manifest
    counted = {
        "damaged": manifest.rows - len(store.labels["slots"]),
        "mirrored": int(store.labels["mirrored"].sum()),
        "outside_share": float(np.asarray(store.labels["outside"]).mean()),
        "shards": -(-manifest.rows // SHARD_ROWS),
    }
    stated = manifest.model_dump(include=set(counted)) | {"shards": len(manifest.shards)}
    return [
        f"{store.folder}: the manifest was changed after packing: expected {name} {value}, found "
        f"{stated[name]}"
        for name, value in counted.items()
        if stated[name] != value
    ]


def _shard_digest(store: PackedStore, first: int, stop: int) -> tuple[str]:
    kept = np.flatnonzero((store.labels["slots"] >= first) & (store.labels["slots"] < stop))
    content = hashlib.sha256()
    for slot in store.labels["slots"][kept]:
        content.update(checksum(store.images.array[slot]))
    labels = {name: store.labels[name][kept] for name in store.labels}
    return (digest_labels(content, labels if len(kept) else {}),)


def _fingerprint(store: PackedStore) -> str:
    manifest = store.manifest
    cropping = manifest.cropping if manifest.crop else manifest.cropping[:2]
    return content_fingerprint(cropping, manifest.shards, store.splits)


def _other_source(store: PackedStore, source: Reader) -> list[str]:
    """Return a message if images cannot be compared: names, annotations or options differ."""
    manifest = store.manifest
    if manifest.recipe in recipes_of(source, manifest.cropping):
        return []
    if manifest.crop is None:
        again = packing_call(manifest.dataset, manifest.cropping)
        return [
            f"{store.folder}: packed by an earlier version, whose crops this one cuts with another "
            f"filter: verify it without --root, or pack it again with {again}"
        ]
    return [
        f"{store.folder}: expected the dataset it was packed from, of {manifest.rows:,} samples, "
        f"found one of {len(source):,} with other files, annotations or options; give the options "
        "of the packing with --set, or pack it again"
    ]


def _compare(store: PackedStore, source: Reader, first: int, stop: int) -> Iterator[str]:
    """Pack the images of a range of rows again, in memory, and yield the differences."""
    slots = np.asarray(store.labels["slots"])
    for slot in range(first, stop):
        index = int(np.searchsorted(slots, slot))
        packed = index < len(slots) and slots[index] == slot
        try:
            sample = source[slot]
            image, row = crop_sample(sample, *store.manifest.cropping)
        except DataError as error:
            if packed:
                yield f"{error} (it was intact when it was packed)"
            continue
        where = f"{sample.source}: id {sample.id}"
        if not packed:
            yield f"{where}: it was damaged when packed, but is intact now: pack again"
        elif not np.array_equal(image, store.images.array[slot]):
            yield f"{where}: the image changed after packing"
        else:
            yield from _labels(store, index, row, where)


def _labels(store: PackedStore, index: int, row: Row, where: str) -> Iterator[str]:
    for name in store.labels.keys() - {"slots"}:
        if not np.array_equal(store.labels[name][index], row[name]):
            kind = "the labels" if name in (*POSES, "valid") else name
            yield f"{where}: {kind} changed after packing"
            return
