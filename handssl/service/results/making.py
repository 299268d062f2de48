"""Results of a study as its process has written them, in a file without a name."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

from handssl.errors import DataError
from handssl.runtime.secrets import masked, without_service_secrets
from handssl.runtime.shell_commands import command
from handssl.service.results.child import LENGTH_DIGITS, LIMIT_S, Contents, Place, Request

_PIECE = 256 * 1024
_GRACE_S = 15.0
_PROGRAM = (sys.executable, "-m", "handssl.service.results.child")


@dataclass(eq=False)
class Made:
    """Results of a study.

    The file has no name, so nothing is left of it when the service ends, and it can be read until
    the last reader is done, also if newer results have taken its place.

    Attributes:
        descriptor: The open file; closed with this object.
        contents: Its contents.
        made_s: Time at which it was made, `time.monotonic`.
        took_s: Seconds that took.
    """

    descriptor: int
    contents: Contents
    made_s: float
    took_s: float

    def __post_init__(self) -> None:
        weakref.finalize(self, os.close, self.descriptor)

    def place(self, part: str) -> Place:
        """Return where a part is."""
        return self.contents.parts[part]

    def pieces(self, part: str) -> Iterator[bytes]:
        """Yield a part in pieces of at most 256 KiB."""
        place = self.place(part)
        for start in range(0, place.length, _PIECE):
            size = min(_PIECE, place.length - start)
            yield os.pread(self.descriptor, size, place.offset + start)

    def read(self, part: str) -> bytes:
        """Return a part."""
        return b"".join(self.pieces(part))


class Maker:
    """Makes results in a process of its own, one at a time; see `child`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, asked: Request) -> Made:
        """Return the results of a study.

        Args:
            asked: What to make.

        Raises:
            DataError: The process has failed, or was ended by one of its limits.
        """
        began_s = time.monotonic()
        with TemporaryFile(prefix="handssl-results-") as file:
            self._run(asked, file)
            return made_of(file, began_s)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()

    def _run(self, asked: Request, file: BinaryIO) -> None:
        with subprocess.Popen(  # noqa: S603  (words of ours)
            _PROGRAM,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.PIPE,
            env=without_service_secrets(os.environ) | {"OMP_NUM_THREADS": "1"},
        ) as process:
            self._process = process
            try:
                text = asked.model_dump_json().encode()
                errors = process.communicate(text, timeout=LIMIT_S + _GRACE_S)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                errors = b""
            finally:
                self._process = None
        if process.returncode:
            raise DataError(_reason(asked, process.returncode, errors))


def _reason(asked: Request, code: int, errors: bytes) -> str:
    lines = masked(errors.decode(errors="replace")).strip().splitlines()
    said = f"it was ended by signal {-code} after at most {LIMIT_S} s" if code < 0 else ""
    show = command("report", asked.storage, "--study", asked.study)
    return (
        f"the report of study {asked.study} cannot be made: "
        f"{said or (lines[-1] if lines else f'exit code {code}')}; on the head, `{show}` shows more"
    )


def made_of(file: BinaryIO, began_s: float) -> Made:
    """Return the results in a file.

    Args:
        file: The output of `write_results`.
        began_s: Time at which it was begun, `time.monotonic`.
    """
    end = file.seek(0, os.SEEK_END) - LENGTH_DIGITS
    descriptor = file.fileno()
    size = int(os.pread(descriptor, LENGTH_DIGITS, end))
    contents = Contents.model_validate_json(os.pread(descriptor, size, end - size))
    now_s = time.monotonic()
    return Made(os.dup(descriptor), contents, now_s, now_s - began_s)
