"""A folder of checkpoints on another file system: anything that Ray's storage takes."""

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
    """One folder, e.g. of a trial, on any file system.

    Args:
        url: Of pyarrow's file systems (file, s3, gs, hdfs, ...), of fsspec's, or a local path.
        within: Path below it.

    Raises:
        InputError: No file system is known by that scheme.
    """

    def __init__(self, url: str, within: str = "") -> None:
        self.url = posixpath.join(url.rstrip("/"), within) if within else url
        self._base, self._within = url, within
        with contextlib.suppress(OSError):  # away: the first use says so
            _ = self._place

    def names(self) -> list[RemoteFile]:
        """Return its files, half-written ones too; none where there is no folder yet.

        Raises:
            OSError: It cannot be reached.
        """
        from pyarrow.fs import FileSelector, FileType

        system, path = self._place
        # Asked first: a selector of fsspec's takes a folder that cannot be reached for none.
        if system.get_file_info(path).type == FileType.NotFound:
            return []
        found = system.get_file_info(FileSelector(path))
        files = (info for info in found if info.type == FileType.File)
        return [RemoteFile(info.base_name, info.size or 0) for info in files]

    def put(self, source: BinaryIO, name: str) -> None:
        """Write a file under a temporary name, verify its size, then give it its name.

        Args:
            source: Open at its start.
            name: In the folder.

        Raises:
            OSError: It cannot be written, or has not arrived whole.
        """
        system, path = self._place
        system.create_dir(path, recursive=True)
        partial = posixpath.join(path, f"{name}{_PARTIAL}{secrets.token_hex(4)}")
        try:
            written = _copy(source, system.open_output_stream(partial))
            arrived = system.get_file_info(partial).size
            if arrived != written:
                raise OSError(f"{partial}: expected {written} bytes, {arrived} have arrived")
            system.move(partial, posixpath.join(path, name))
        except BaseException:
            with contextlib.suppress(Exception):
                system.delete_file(partial)
            raise

    def get(self, name: str, local: Path) -> None:
        """Read a file into a local one.

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
        """Give a file another name.

        Raises:
            OSError: It cannot.
        """
        system, path = self._place
        system.move(posixpath.join(path, name), posixpath.join(path, new))

    @cached_property
    def _place(self) -> tuple[FileSystem, str]:
        system, path = open_file_system(self._base)
        return system, posixpath.join(path, self._within) if self._within else path


def is_partial(name: str) -> bool:
    """Say whether a name is that of a file being written, or left by a writer that was killed."""
    return _PARTIAL in name


def open_file_system(url: str) -> tuple[FileSystem, str]:
    """Return the file system of a URL and the path on it: pyarrow's, else fsspec's.

    Args:
        url: Or a local path.

    Raises:
        InputError: Neither knows the scheme.
        OSError: It cannot be reached.

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
                f"--checkpoints {url}: expected a URL or a folder, got what cannot be read as one "
                f"({error})"
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
