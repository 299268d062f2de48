"""Source of a packed store in a folder or at a URL, with copies that can be resumed."""

from __future__ import annotations

import os
import posixpath
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyarrow.fs import FileSelector, FileType

from handssl.data.manifest import FILE as MANIFEST
from handssl.data.manifest import Manifest
from handssl.errors import DataError
from handssl.execution.checkpoint_mirror.remote_folder import open_file_system

_PIECE = 8 * 1024 * 1024


@dataclass(frozen=True)
class StoreSource:
    """A packed store to copy from.

    Attributes:
        url: URL or path of its folder.
    """

    url: str

    def files(self) -> dict[str, int]:
        """Return its files with their sizes in bytes, the manifest last: it completes a copy.

        Raises:
            DataError: There is no store.
        """
        try:
            system, root = open_file_system(self.url)
            found = system.get_file_info(FileSelector(root, recursive=True))
        except OSError as error:
            raise DataError(
                f"{self.url}: expected a packed store, not reachable: {error}"
            ) from None
        files = {
            posixpath.relpath(one.path, root): int(one.size)
            for one in found
            if one.type == FileType.File
        }
        if MANIFEST not in files:
            raise DataError(f"{self.url}: expected a packed store with {MANIFEST}, found none")
        return {name: files[name] for name in sorted(files, key=lambda one: (one == MANIFEST, one))}

    def manifest(self) -> Manifest:
        """Read the store's manifest without copying the store.

        Raises:
            DataError: There is no store.
        """
        with tempfile.TemporaryDirectory() as folder:
            size = self.files()[MANIFEST]
            try:
                copy_file(self, MANIFEST, size, Path(folder) / MANIFEST)
            except OSError as error:
                raise DataError(f"{self.url}: its manifest cannot be read: {error}") from None
            return Manifest.read(Path(folder))


def copy_file(source: StoreSource, name: str, size: int, target: Path) -> None:
    """Copy a file, resuming an interrupted copy.

    Args:
        source: Store of the file.
        name: Path of the file within the store.
        size: Size of the file in bytes.
        target: Path of the copy; it has another name until it is complete.

    Raises:
        OSError: The source cannot be read, or the copy cannot be written.
    """
    if target.exists() and target.stat().st_size == size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".copying")
    with part.open("ab") as sink:
        if sink.tell() > size:
            sink.truncate(0)
        _append(source, name, sink.tell(), sink)
        sink.flush()
        os.fsync(sink.fileno())
    part.replace(target)


def _append(source: StoreSource, name: str, start: int, sink: BinaryIO) -> None:
    system, root = open_file_system(source.url)
    with system.open_input_file(posixpath.join(root, name)) as stream:
        stream.seek(start)
        while piece := stream.read(_PIECE):
            sink.write(piece)
