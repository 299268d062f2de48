"""Convert a dataset into a packed store, on all cores, and go on where a kill left it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from handssl.data.assembly import assemble
from handssl.data.manifest import FILE, recipe_of
from handssl.data.sample import Reader
from handssl.data.shards import (
    SHARD_ROWS,
    StoppedError,
    Target,
    finished_shards,
    read_shard,
    write_shard,
)
from handssl.data.store import PackedStore
from handssl.errors import DataError

Progress = Callable[[int, int], None]

CROP_PX = 192
CONTEXT = 1.75
"""Covers one view of the box turned by 45 degrees and moved by 0.15 of its side (1.71)."""

_LABEL_BYTES = 2048  # of a sample, in its shard and once more when all are joined
_PERIOD_S = 0.2


def pack(
    reader: Reader,
    folder: Path,
    *,
    crop_px: int = CROP_PX,
    context: float = CONTEXT,
    threads: int | None = None,
    max_damaged: int = 0,
    on_progress: Progress | None = None,
) -> PackedStore:
    """Convert a dataset into a packed store, or open the one that is already there.

    Shards of 512 samples are packed by threads (decoding, warping, writing and hashing all leave
    Python). What was finished before a kill is kept in `<folder>.partial` and not done again; the
    folder gets its name when everything is durable.

    Args:
        reader: The dataset.
        folder: Where the store goes.
        crop_px: Side S of the stored crops.
        context: Side of a crop in box sides; at least what the transformations reach.
        threads: Shards at a time; default: one a core.
        max_damaged: Damaged samples that may be left out; they are counted in the manifest.
        on_progress: Called in this thread with (samples done, samples in all).

    Returns:
        The opened store.

    Raises:
        DataError: A sample is damaged, the disk is full, or the folder holds something else.
    """
    recipe = recipe_of(reader, crop_px=crop_px, context=context)
    if (folder / FILE).is_file():
        return _reuse(folder, recipe)
    partial = folder.with_name(folder.name + ".partial")
    try:
        with _started(partial, recipe):
            with _images(partial, (len(reader), crop_px, crop_px, 3)) as (file, offset):
                watch = _Watch(len(reader), max_damaged, on_progress)
                target = Target(partial, file, offset, crop_px, context, watch.damage, watch.each)
                _write_shards(reader, target, threads or os.cpu_count() or 1, watch)
            assemble(reader, partial, recipe=recipe, crop_px=crop_px, context=context)
            partial.rename(folder)
    except OSError as error:
        raise _explained(error, folder, partial) from None
    shutil.rmtree(folder / "shards", ignore_errors=True)
    return PackedStore(folder)


def packed_bytes(count: int, crop_px: int) -> int:
    """Return what a store takes on disk, while it is made at most.

    Example:
        >>> round(packed_bytes(130_240, 192) / 1e9, 1)
        14.7
    """
    return count * (3 * crop_px**2 + _LABEL_BYTES)


class _Watch:
    """Counts over all threads: what is done, what was damaged, and whether to stop."""

    def __init__(self, total: int, max_damaged: int, on_progress: Progress | None) -> None:
        self.total, self.max_damaged, self.on_progress = total, max_damaged, on_progress
        self.done = self.damaged = 0
        self.stop = False
        self._lock = threading.Lock()

    def each(self) -> None:
        with self._lock:
            self.done += 1
        if self.stop:
            raise StoppedError

    def damage(self, error: DataError) -> None:
        with self._lock:
            self.damaged += 1
        if self.max_damaged == 0:
            raise error
        if self.damaged > self.max_damaged:
            raise DataError(
                f"expected at most {self.max_damaged} damaged samples, found {self.damaged}; "
                f"the last one: {error}"
            )

    def resume(self, first: int, path: Path) -> None:
        """Count a shard that an earlier run finished."""
        self.done += min(SHARD_ROWS, self.total - first)
        for message in read_shard(path)["damage"]:
            self.damage(DataError(str(message)))

    def tell(self) -> None:
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


def _write_shards(reader: Reader, target: Target, threads: int, watch: _Watch) -> None:
    finished = finished_shards(target.folder)
    for first, path in finished.items():
        watch.resume(first, path)
    missing = [first for first in range(0, len(reader), SHARD_ROWS) if first not in finished]
    with single_threaded_opencv(), ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(write_shard, reader, first, target) for first in missing]
        try:
            _follow(futures, watch)
        except BaseException:
            watch.stop = True
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV from dividing each image among threads: they are all at work already."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _follow(futures: list[Future[None]], watch: _Watch) -> None:
    """Tell the progress until all are done; raise what the first that failed raised."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=_PERIOD_S, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        watch.tell()


@contextmanager
def _started(partial: Path, recipe: str) -> Iterator[None]:
    """Hold the folder that is being filled, for this process alone and this recipe alone."""
    (partial / "shards").mkdir(parents=True, exist_ok=True)
    with (partial / "recipe").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{partial}: another process is packing here; wait for it") from None
        file.seek(0)
        found = file.read()
        if found not in ("", recipe):
            raise DataError(
                f"{partial}: expected nothing or a packing of {recipe}, found one of {found}, with "
                "other data or settings; remove it or choose another place"
            )
        if not found:
            file.write(recipe)
            file.flush()
        yield


@contextmanager
def _images(partial: Path, shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Open `images.npy` for writing; give its descriptor and where the first row begins."""
    path = partial / "images.npy"
    _check_space(path, packed_bytes(*shape[:2]))
    if not finished_shards(partial):
        # Only the header and the length: the file takes space as it is written.
        np.lib.format.open_memmap(path, "w+", np.uint8, shape).flush()
    with path.open("r+b") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        yield file.fileno(), file.tell()


def _check_space(path: Path, size: int) -> None:
    taken = path.stat().st_blocks * 512 if path.exists() else 0
    free = shutil.disk_usage(path.parent).free
    if size - taken > free:
        raise OSError(errno.ENOSPC, f"{(size - taken) / 1e9:.1f} GB needed, {free / 1e9:.1f} free")


def _reuse(folder: Path, recipe: str) -> PackedStore:
    store = PackedStore(folder)
    if store.manifest.recipe != recipe:
        raise DataError(
            f"{folder}: expected a store of recipe {recipe}, found {store.manifest.recipe}, packed "
            "from other data or with other settings; choose another folder or remove this one"
        )
    return store


def _explained(error: OSError, folder: Path, partial: Path) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"{folder}: expected room on the disk, found it full ({error.strerror}); what is "
            f"finished is kept in {partial.name}: free space and run the same command again"
        )
    return DataError(f"{folder}: cannot be written: {error.strerror or error}")
