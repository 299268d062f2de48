"""Convert a dataset into a packed store on all cores; an interrupted packing is resumed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from handssl.data.assembly import assemble
from handssl.data.crop_images import images_offset
from handssl.data.crops import CONTEXT, CROP_PX
from handssl.data.freshness import Damage, drop_stale, store_damage, take_over
from handssl.data.manifest import FILE, PARTIAL, REPLACED, Cropping, recipes_of
from handssl.data.sample import Reader
from handssl.data.shards import (
    SHARD_ROWS,
    Target,
    finished_shards,
    write_shard,
)
from handssl.data.store import PackedStore
from handssl.errors import DataError
from handssl.pose.crop_rules import CropRule
from handssl.runtime.worker_processes import completed

Progress = Callable[[int, int], None]

_LABEL_BYTES = 2048  # per sample, in its shard and again in the joined labels
_SHARDS_WORTH_PROCESSES = 8  # starting processes takes as long as packing a few shards


def pack(
    reader: Reader,
    folder: Path,
    *,
    crop_px: int = CROP_PX,
    context: float = CONTEXT,
    crop: CropRule = "published",
    workers: int | None = None,
    max_damaged: int = 0,
    check_sources: bool = True,
    on_progress: Progress | None = None,
) -> PackedStore:
    """Convert a dataset into a packed store, or open the existing one.

    Shards of 512 samples are packed in processes. Shards finished before an interruption are kept
    in `<folder>.partial` and reused; the folder is renamed when everything is durable.

    A store or a finished shard is reused only if its source files are unchanged: by size, times
    and inode, or else by content. Samples that were left out are read again each time. If files
    were repaired, replaced or removed, their shards are packed again beside the store, which is
    replaced as a whole at the end.

    Args:
        reader: The dataset.
        folder: Folder of the store.
        crop_px: Side S of the stored crops in pixels.
        context: Side of a crop in box sides; must cover the reach of the transformations.
        crop: Box around labelled joints, `published` or `extent`, see `handssl.pose.crop_box`.
        workers: Number of processes; default: one per core. With 1, or with few samples, packing
            runs in this process.
        max_damaged: Maximum number of damaged samples to leave out; they are counted in the
            manifest. It also applies to an existing store.
        check_sources: Whether an existing store is compared with its source files.
        on_progress: Called in this thread with (samples done, total samples).

    Returns:
        The opened store.

    Raises:
        DataError: Too many samples are damaged, the disk is full, or the folder contains something
            else.
    """
    cropping = Cropping(crop_px, context, crop)
    recipe, *_ = recipes = recipes_of(reader, cropping)
    partial, fresh, store = folder.with_name(folder.name + PARTIAL), Damage(), None
    if (folder / FILE).is_file():
        store = _known(folder, recipes)
        fresh, shards = store_damage(reader, store) if check_sources else (Damage(), 0)
        if len(fresh) == shards:
            _Count(len(reader), max_damaged).add_all(fresh)
            _remove(partial, recipes)
            return store
    try:
        with _started(partial, recipes):
            if store and not finished_shards(partial):
                take_over(store, partial, fresh)
            offset = _make_room(partial, (len(reader), crop_px, crop_px, 3))
            target = Target(partial, offset, cropping, skip_damaged=max_damaged > 0)
            count = _Count(len(reader), max_damaged, on_progress)
            _write_shards((reader, target), workers or os.cpu_count() or 1, count)
            assemble(reader, partial, recipe=recipe, cropping=cropping)
            _place(partial, folder)
    except OSError as error:
        raise _explained(error, folder, partial) from None
    except DataError as error:
        raise error if store is None else _outdated(error, store) from None
    shutil.rmtree(folder / "shards", ignore_errors=True)
    return PackedStore(folder)


def packed_bytes(count: int, crop_px: int) -> int:
    """Return the maximum disk space of a store during packing, in bytes.

    Example:
        >>> round(packed_bytes(130_240, 192) / 1e9, 1)
        14.7
    """
    return count * (3 * crop_px**2 + _LABEL_BYTES)


class _Count:
    """Counter of packed and damaged samples."""

    def __init__(self, total: int, max_damaged: int, on_progress: Progress | None = None) -> None:
        self.total, self.max_damaged, self.on_progress = total, max_damaged, on_progress
        self.done = self.damaged = 0

    def add(self, samples: int, damage: Sequence[str]) -> None:
        """Count a shard.

        Raises:
            DataError: More samples are damaged than allowed.
        """
        self.done += samples
        self.damaged += len(damage)
        if self.damaged > self.max_damaged:
            raise DataError(
                f"expected at most {self.max_damaged} damaged samples, found {self.damaged}; "
                f"the last one: {damage[-1]}; repair them and run the same command again, or "
                f"leave them out with --max-damaged {self.damaged} or more"
            )
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)

    def add_all(self, shards: Damage) -> None:
        """Count finished shards, given by first row.

        Raises:
            DataError: More samples are damaged than allowed.
        """
        for first, damage in shards.items():
            self.add(min(SHARD_ROWS, self.total - first), damage)


def _write_shards(shared: tuple[Reader, Target], workers: int, count: _Count) -> None:
    """Write the shards that are not finished or whose sources have changed."""
    reader, target = shared
    finished = drop_stale(reader, target.folder, target.cropping)
    count.add_all(finished)
    missing = [(first,) for first in range(0, count.total, SHARD_ROWS) if first not in finished]
    few = len(missing) < _SHARDS_WORTH_PROCESSES
    shards = completed(write_shard, missing, shared=shared, workers=1 if few else workers)
    with closing(shards):
        for samples, damage in shards:
            count.add(samples, damage)


@contextmanager
def _started(partial: Path, recipes: Sequence[str]) -> Iterator[None]:
    """Lock the folder that is being filled for this process and this recipe."""
    recipe = recipes[0]
    (partial / "shards").mkdir(parents=True, exist_ok=True)
    with (partial / "recipe").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{partial}: another process is packing here; wait for it") from None
        file.seek(0)
        found = file.read()
        if found not in ("", *recipes):
            raise DataError(
                f"{partial}: expected nothing or a packing of {recipe}, found one of {found}, with "
                "other data or settings; remove it or choose another folder"
            )
        if not found:
            file.write(recipe)
            file.flush()
        yield


def _make_room(partial: Path, shape: tuple[int, ...]) -> int:
    """Create `images.npy` with space for all rows; return the offset of the first."""
    path = partial / "images.npy"
    _check_space(path, packed_bytes(*shape[:2]))
    if not finished_shards(partial):
        # Only header and length: the sparse file takes space as it is written.
        np.lib.format.open_memmap(path, "w+", np.uint8, shape).flush()
    return images_offset(path, shape)


def _check_space(path: Path, size: int) -> None:
    taken = path.stat().st_blocks * 512 if path.exists() else 0
    free = shutil.disk_usage(path.parent).free
    if size - taken > free:
        raise OSError(errno.ENOSPC, f"{(size - taken) / 1e9:.1f} GB needed, {free / 1e9:.1f} free")


def _known(folder: Path, recipes: Sequence[str]) -> PackedStore:
    store = PackedStore(folder)
    if store.manifest.recipe not in recipes:
        raise DataError(
            f"{folder}: expected a store of recipe {recipes[0]}, found {store.manifest.recipe}, "
            "packed from other data or with other settings; choose another folder or remove this "
            "one"
        )
    return store


def _place(partial: Path, folder: Path) -> None:
    """Move a store to its final name; processes that read the replaced one keep it open."""
    old = folder.with_name(folder.name + REPLACED)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _outdated(error: DataError, store: PackedStore) -> DataError:
    return DataError(
        f"{error}\n{store.folder}: its sources have changed since it was packed, or an earlier "
        "version did not record them; the store is not changed until they are packed again"
    )


def _remove(partial: Path, recipes: Sequence[str]) -> None:
    """Remove a partial packing that is no longer needed, unless a process is using it."""
    if partial.exists():
        with suppress(DataError), _started(partial, recipes):
            shutil.rmtree(partial, ignore_errors=True)


def _explained(error: OSError, folder: Path, partial: Path) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"{folder}: expected space on the disk, found it full ({error.strerror}); finished "
            f"shards are kept in {partial.name}: free space and run the same command again"
        )
    return DataError(f"{folder}: cannot be written: {error.strerror or error}")
