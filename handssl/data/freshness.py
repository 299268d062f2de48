"""Which finished shards still are what their sources give, in a packing or in a whole store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from handssl.data.arrays import Arrays
from handssl.data.sample import Reader
from handssl.data.shards import (
    SHARD_ROWS,
    finished_shards,
    mark_done,
    read_shard,
)
from handssl.data.sources import Sources, load_sources, save_sources
from handssl.data.store import PackedStore
from handssl.errors import DataError

_THREADS = 16  # for a file system that answers slowly
Damage = dict[int, list[str]]


def drop_stale(reader: Reader, folder: Path, *, crop_px: int, context: float) -> Damage:
    """Remove the notes of finished shards that are to be packed again.

    Args:
        reader: The dataset.
        folder: That is being filled.
        crop_px: Side of the crops.
        context: Side of a crop in box sides.

    Returns:
        What is damaged now, by first row of each shard that stays.
    """
    notes = finished_shards(folder)
    sources = {first: _noted(path) for first, path in notes.items()}
    current = _current(reader, {first: one for first, one in sources.items() if one})
    fresh = damage_now(reader, current, crop_px=crop_px, context=context)
    stale = notes.keys() - fresh.keys()
    for first in stale:
        notes[first].unlink()
    if stale:  # no crop is written before it is certain that nothing counts it as finished
        _sync(folder / "shards")
    return fresh


def store_damage(reader: Reader, store: PackedStore) -> tuple[Damage, int]:
    """Compare a store with the files it was packed from, fast where nothing has changed.

    Args:
        reader: The dataset.
        store: Packed from it.

    Returns:
        What is damaged now, by first row of each shard that is as its sources are; and how many
        shards there are.
    """
    rows, known = store.manifest.rows, load_sources(store.folder)
    firsts = range(0, rows, SHARD_ROWS)
    if known is None or len(known.states) != rows:
        return {}, len(firsts)
    parts = {first: known.part(first, min(first + SHARD_ROWS, rows)) for first in firsts}
    current = _current(reader, parts)
    if len(current) == len(firsts):
        _keep(store.folder, known, Sources.joined([current[first] for first in firsts]))
    crop_px, context = store.manifest.crop_px, store.manifest.context
    return damage_now(reader, current, crop_px=crop_px, context=context), len(firsts)


def take_over(store: PackedStore, folder: Path, fresh: Damage) -> None:
    """Put shards of a store into the folder where it is packed again.

    Args:
        store: The store.
        folder: Holds no finished shard yet.
        fresh: What is damaged in the shards that are taken over, by first row.

    Raises:
        OSError: The disk is full or failed.
    """
    known = load_sources(store.folder)
    if not fresh or known is None:
        return
    partial = folder / "images.copying"
    shutil.copyfile(store.folder / "images.npy", partial)
    _sync(partial)
    partial.replace(folder / "images.npy")
    for first, damage in fresh.items():
        stop = min(first + SHARD_ROWS, store.manifest.rows)
        digest = store.manifest.shards[first // SHARD_ROWS]
        mark_done(
            folder, first, _labels(store, first, stop), digest, damage, known.part(first, stop)
        )


def damage_now(
    reader: Reader, current: Mapping[int, Sources], *, crop_px: int, context: float
) -> Damage:
    """Read again what was left out of shards; those of which something is whole now are missing."""
    found = {
        first: sources.damage(reader, first, crop_px, context) for first, sources in current.items()
    }
    return {first: damage for first, damage in found.items() if damage is not None}


def _current(reader: Reader, sources: Mapping[int, Sources]) -> dict[int, Sources]:
    """Return the sources as they are now of the shards whose files are what they were."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda item: item[1].current(reader, item[0]), sources.items())
        return {first: now for first, now in zip(sources, found, strict=True) if now is not None}


def _noted(path: Path) -> Sources | None:
    try:
        return Sources.read(read_shard(path))
    except (DataError, KeyError):  # damaged, or of an earlier version: it is packed again
        return None


def _labels(store: PackedStore, first: int, stop: int) -> Arrays:
    slots = np.asarray(store.labels["slots"])
    kept = np.flatnonzero((slots >= first) & (slots < stop))
    if not len(kept):
        return {}
    labels = {name: np.asarray(values[kept]) for name, values in store.labels.items()}
    nothing = {
        "uv": np.zeros((len(kept), 21, 2)),
        "xyz": np.zeros((len(kept), 21, 3)),
        "camera": np.tile(np.eye(3), (len(kept), 1, 1)),
    }
    return nothing | labels  # a store without any label keeps no poses, its shards do


def _keep(folder: Path, known: Sources, now: Sources) -> None:
    """Remember states that have changed while contents have not; not having them costs time."""
    if not np.array_equal(known.states, now.states):
        try:
            save_sources(folder, now)
        except OSError:
            return


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
