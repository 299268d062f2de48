"""Cache of packed stores on a node's disk: copied once, verified, the oldest evicted when full."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from handssl.data.manifest import FILE as MANIFEST
from handssl.data.store import PackedStore
from handssl.data.verify import verify
from handssl.errors import DataError
from handssl.execution.datasets.store_source import StoreSource, copy_file
from handssl.runtime.file_locks import one_at_a_time
from handssl.runtime.shell_commands import command

Say = Callable[[str], None]
# Locks held until this process ends: a store that is read is not evicted.
_in_use: dict[Path, IO[bytes]] = {}


@dataclass(frozen=True)
class NodeCache:
    """Cache of packed stores on one node.

    Attributes:
        folder: Folder on the node's own disk.
        most_bytes: Limit of its size in bytes; None: no limit.
    """

    folder: Path
    most_bytes: int | None = None

    def ensure(self, name: str, source: StoreSource, fingerprint: str, notify: Say) -> Path:
        """Return the folder of a store on this node, copied if it is not there yet.

        One process of the node copies, the others wait for it; an interrupted copy is resumed.

        Args:
            name: Name of the store within the cache.
            source: Source of the copy.
            fingerprint: Fingerprint that the copy must have.
            notify: Called with a message about what was copied, and how long it took.

        Raises:
            DataError: The source is missing, the copy is not as expected, or the disk is full.
        """
        place = self.folder / name
        with one_at_a_time(self.folder / f"{name}.lock"):
            if not (place / MANIFEST).is_file():
                began_s = time.monotonic()
                size = self._copy(place, source, fingerprint)
                seconds = time.monotonic() - began_s
                notify(f"copied {name} to this node: {size / 1e9:.2f} GB in {seconds:.1f} s")
            self._use(place)
        return place

    def _copy(self, place: Path, source: StoreSource, fingerprint: str) -> int:
        files = source.files()
        self._make_room(sum(files.values()), place)
        part = place.with_name(place.name + ".part")
        try:
            for name, size in files.items():
                copy_file(source, name, size, part / name)
        except OSError as error:
            raise DataError(
                f"{part}: cannot be copied from {source.url}: {error.strerror or error}; free "
                "some space or repair the connection, what is copied is kept"
            ) from None
        _require_sound(part, source.url, fingerprint)
        part.rename(place)
        return sum(files.values())

    def _make_room(self, wanted: int, place: Path) -> None:
        """Evict stores that are not in use until `wanted` more bytes fit."""
        stores = [p.parent for p in self.folder.glob(f"*/{MANIFEST}") if p.parent.suffix != ".part"]
        sizes = {store: _size(store) for store in stores}
        left = sorted(stores, key=lambda store: _marker(store).stat().st_mtime)
        while self.most_bytes is not None and sum(sizes.values()) + wanted > self.most_bytes:
            victim = next((store for store in left if _evict(store)), None)
            if victim is None:
                raise DataError(
                    f"{self.folder}: {place.name} takes {wanted / 1e9:.2f} GB, which does not fit "
                    f"into cache_bytes = {self.most_bytes / 1e9:.2f} GB beside the stores in use; "
                    f"raise cache_bytes in places.yaml"
                )
            left.remove(victim)
            sizes.pop(victim)

    def _use(self, place: Path) -> None:
        marker = _marker(place)
        if place not in _in_use:
            stream = marker.open("ab")
            fcntl.flock(stream, fcntl.LOCK_SH)
            _in_use[place] = stream
        os.utime(marker)


def _marker(store: Path) -> Path:
    marker = store.with_name(store.name + ".used")
    if not marker.exists():  # its modification time is the time of the last use
        marker.touch()
    return marker


def _evict(store: Path) -> bool:
    with _marker(store).open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        (store / MANIFEST).unlink()  # from now on it is not a valid store
        shutil.rmtree(store)
    return True


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _require_sound(part: Path, url: str, fingerprint: str) -> None:
    store = PackedStore(part)
    found = verify(store) if store.manifest.fingerprint == fingerprint else ["another fingerprint"]
    if found:
        shutil.rmtree(part)
        check = command("data", "verify", "STORE" if "://" in url else url)
        raise DataError(
            f"{url}: expected the store {fingerprint[:12]}, got {store.manifest.fingerprint[:12]} "
            f"({found[0]}); the copy was removed, check the store at its place with `{check}`"
        )
