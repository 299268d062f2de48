"""Folders of numpy arrays: written atomically, memory-mapped when opened.

Used for the labels of packed stores and for annotations that were parsed once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.errors import DataError

Arrays = dict[str, NDArray[Any]]


def save_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `<folder>/<name>.npy` for every array; the folder appears when all are on disk.

    Args:
        folder: Folder to create; must not exist.
        arrays: Arrays by name.

    Raises:
        OSError: The disk is full or not writable; nothing is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, array in arrays.items():
            with (partial / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        partial.chmod(0o755)
        partial.rename(folder)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def open_arrays(folder: Path) -> Arrays:
    """Map every array of a folder, read-only.

    Raises:
        DataError: A file is truncated or not an array.
    """
    arrays: Arrays = {}
    for path in sorted(folder.glob("*.npy")):
        try:
            # Plain views: each access to a memmap costs ten times as much.
            arrays[path.stem] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: expected an array, found none ({error})") from None
    return arrays


def cached_arrays(
    sources: Sequence[Path], kind: str, parse: Callable[[], Mapping[str, NDArray[Any]]]
) -> Arrays:
    """Return the parsed content of some files; from the second call on, mapped from a cache.

    The cache is in `$XDG_CACHE_HOME/handssl`, default `~/.cache/handssl`; its key contains path,
    size, inode, mtime and ctime of each source: unpacking a release again may give a file the
    time and size of the damaged one. If the cache is not writable, the files are parsed each time.

    Args:
        sources: The files that determine the result.
        kind: Name and version of the parser, e.g. `freihand-1`.
        parse: Parses the sources; its errors are propagated.

    Raises:
        OSError: A source is missing.
    """
    folder = _cache_root() / f"{kind}-{_key(sources)}"
    if folder.is_dir():
        try:
            return open_arrays(folder)
        except DataError:
            shutil.rmtree(folder, ignore_errors=True)
    arrays = dict(parse())
    try:
        save_arrays(folder, arrays)
    except OSError:  # no space left, or another process was faster
        return arrays
    return open_arrays(folder)


def _cache_root() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(home).expanduser() / "handssl"
    except RuntimeError:  # a user without a home folder: nothing can be cached
        return Path(os.devnull) / "handssl"


def _key(sources: Sequence[Path]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for source in sources:
        stat = source.stat()
        state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        digest.update(f"{source.resolve()} {state}\n".encode())
    return digest.hexdigest()
