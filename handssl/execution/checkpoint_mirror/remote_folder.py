"""Folder of checkpoints on any file system that Ray's storage supports."""

from __future__ import annotations

import contextlib
import posixpath
import secrets
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from handssl.errors import InputError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_CHUNK_BYTES = 8 * 2**20
_PARTIAL = ".tmp-"


class RemoteFile(NamedTuple):
    """A file of a target."""

    name: str
    size_bytes: int


class Target:
    """A folder, e.g. of a trial, on any file system.

    Args:
        url: URL of a file system of pyarrow (file, s3, gs, hdfs, ...) or fsspec, or a local path.
        within: Path of the folder below the URL.

    Raises:
        InputError: No file system is known for the URL's scheme.
    """

    def __init__(self, url: str, within: str = "") -> None:
        self.url = posixpath.join(url.rstrip("/"), within) if within else url
        self._base, self._within = url, within
        with contextlib.suppress(OSError):  # not reachable: the first use reports it
            _ = self._place

    def names(self) -> list[RemoteFile]:
        """Return its files, including half-written ones; empty if there is no folder yet.

        Raises:
            OSError: The folder is not reachable.
        """
        from pyarrow.fs import FileSelector, FileType

        system, path = self._place
        # Checked first: with fsspec, a selector treats an unreachable folder as a missing one.
        if system.get_file_info(path).type == FileType.NotFound:
            return []
        found = system.get_file_info(FileSelector(path))
        files = (info for info in found if info.type == FileType.File)
        return [RemoteFile(info.base_name, info.size or 0) for info in files]

    def put(self, source: BinaryIO, name: str) -> None:
        """Write a file under a temporary name, verify its size, then give it its name.

        Args:
            source: Open file, positioned at its start.
            name: Name of the file in the folder.

        Raises:
            OSError: The file cannot be written, or its written size is wrong.
        """
        system, path = self._place
        system.create_dir(path, recursive=True)
        partial = posixpath.join(path, f"{name}{_PARTIAL}{secrets.token_hex(4)}")
        try:
            written = _copy(source, system.open_output_stream(partial))
            arrived = system.get_file_info(partial).size
            if arrived != written:
                raise OSError(f"{partial}: expected {written} bytes, got {arrived} bytes")
            system.move(partial, posixpath.join(path, name))
        except BaseException:
            with contextlib.suppress(Exception):
                system.delete_file(partial)
            raise

    def get(self, name: str, local: Path) -> None:
        """Copy a file to a local one.

        Raises:
            OSError: It cannot be read.
        """
        system, path = self._place
        with local.open("wb") as file:
            source = system.open_input_stream(posixpath.join(path, name))
            with source:
                while chunk := source.read(_CHUNK_BYTES):
                    file.write(chunk)

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            OSError: It cannot be removed.
        """
        system, path = self._place
        system.delete_file(posixpath.join(path, name))

    def rename(self, name: str, new: str) -> None:
        """Rename a file.

        Raises:
            OSError: It cannot be renamed.
        """
        system, path = self._place
        system.move(posixpath.join(path, name), posixpath.join(path, new))

    @cached_property
    def _place(self) -> tuple[FileSystem, str]:
        system, path = open_file_system(self._base)
        return system, posixpath.join(path, self._within) if self._within else path


def is_partial(name: str) -> bool:
    """Return whether a name is that of a file being written, or left by a killed writer."""
    return _PARTIAL in name


def open_file_system(url: str) -> tuple[FileSystem, str]:
    """Return the file system of a URL, by pyarrow, else by fsspec, and the path on it.

    Args:
        url: URL or local path.

    Raises:
        InputError: Neither pyarrow nor fsspec knows the scheme.
        OSError: The file system is not reachable.

    Example:
        >>> open_file_system("file:///tmp/checkpoints")[1]
        '/tmp/checkpoints'
    """
    import pyarrow
    from pyarrow.fs import FileSystem

    try:
        place = url if "://" in url else str(Path(url).expanduser().resolve())
        system, path = FileSystem.from_uri(place)
    except pyarrow.ArrowInvalid as error:
        if "Unrecognized filesystem" not in str(error):
            raise InputError(
                f"--checkpoints {url}: expected a URL or a folder, got something else ({error})"
            ) from None
        return _from_fsspec(url)
    return system, path


def _from_fsspec(url: str) -> tuple[FileSystem, str]:
    from fsspec.core import url_to_fs
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    try:
        system, path = url_to_fs(url)
    except (ValueError, ImportError) as error:  # an unknown scheme, or one without its package
        raise InputError(
            f"--checkpoints {url}: expected a file system that pyarrow or fsspec can open, e.g. "
            f"file://, s3://, gs:// or hdfs://, cannot open it ({error})"
        ) from None
    return PyFileSystem(FSSpecHandler(system)), path


def _copy(source: BinaryIO, sink: BinaryIO) -> int:
    written = 0
    with sink:
        while chunk := source.read(_CHUNK_BYTES):
            sink.write(chunk)
            written += len(chunk)
    return written
