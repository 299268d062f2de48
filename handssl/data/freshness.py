"""Find finished shards that still match their sources, in a packing or in a store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from handssl.data.arrays import Arrays
from handssl.data.manifest import Cropping
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

_THREADS = 16  # for a slow file system
Damage = dict[int, list[str]]


def drop_stale(reader: Reader, folder: Path, cropping: Cropping) -> Damage:
    """Remove the completion notes of finished shards that must be packed again.

    Args:
        reader: The dataset.
        folder: Folder that is being filled.
        cropping: Settings of the crops.

    Returns:
        Damage messages of each shard that remains, by its first row.
    """
    notes = finished_shards(folder)
    sources = {first: _noted(path) for first, path in notes.items()}
    current = _current(reader, {first: one for first, one in sources.items() if one})
    fresh = damage_now(reader, current, cropping)
    stale = notes.keys() - fresh.keys()
    for first in stale:
        notes[first].unlink()
    if stale:  # no crop is written before it is certain that nothing counts it as finished
        _sync(folder / "shards")
    return fresh


def store_damage(reader: Reader, store: PackedStore) -> tuple[Damage, int]:
    """Compare a store with the files it was packed from; fast for unchanged files.

    Args:
        reader: The dataset.
        store: Store packed from the dataset.

    Returns:
        Damage messages of each shard that matches its sources, by its first row; and the number
        of shards.
    """
    rows, known = store.manifest.rows, load_sources(store.folder)
    firsts = range(0, rows, SHARD_ROWS)
    if known is None or len(known.states) != rows:
        return {}, len(firsts)
    parts = {first: known.part(first, min(first + SHARD_ROWS, rows)) for first in firsts}
    current = _current(reader, parts)
    if len(current) == len(firsts):
        _keep(store.folder, known, Sources.joined([current[first] for first in firsts]))
    return damage_now(reader, current, store.manifest.cropping), len(firsts)


def take_over(store: PackedStore, folder: Path, fresh: Damage) -> None:
    """Reuse shards of a store in the folder where it is packed again.

    Args:
        store: The store.
        folder: Folder without any finished shard.
        fresh: Damage messages of the shards to reuse, by first row.

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


def damage_now(reader: Reader, current: Mapping[int, Sources], cropping: Cropping) -> Damage:
    """Read left-out samples again; shards with a sample that is intact now are omitted."""
    found = {first: sources.damage(reader, first, cropping) for first, sources in current.items()}
    return {first: damage for first, damage in found.items() if damage is not None}


def _current(reader: Reader, sources: Mapping[int, Sources]) -> dict[int, Sources]:
    """Return the current sources of the shards whose files are unchanged."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda item: item[1].current(reader, item[0]), sources.items())
        return {first: now for first, now in zip(sources, found, strict=True) if now is not None}


def _noted(path: Path) -> Sources | None:
    try:
        return Sources.read(read_shard(path))
    except (DataError, KeyError):  # damaged, or of an earlier version: the shard is packed again
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
    return nothing | labels  # an unlabelled store has no poses, but its shards do


def _keep(folder: Path, known: Sources, now: Sources) -> None:
    """Save file states that changed while contents did not; a failure only costs time."""
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
