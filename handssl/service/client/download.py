"""Downloads to a file: continued after an interruption, checked by digest, written atomically."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import requests

from handssl.errors import InputError
from handssl.service.client import retry
from handssl.service.client.http_client import Client
from handssl.service.client.retry import Tell, silent
from handssl.service.errors import ServiceError, UnavailableError

OnProgress = Callable[[int, int], None]
"""Called with the bytes that are here, and the bytes of the whole file."""

_PIECE = 64 * 1024
_MOST_BEGINNINGS = 3  # of what an earlier call has left, and anew
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def ignored(here: int, whole: int) -> None:
    """Ignore progress."""


def download(
    client: Client,
    path: str,
    target: Path,
    *,
    asked: Mapping[str, str],
    on_progress: OnProgress = ignored,
    notify: Tell = silent,
) -> Path:
    """Download to a file; what an earlier, interrupted call has left is continued.

    The bytes are collected in `.NAME.part` beside the file, which replaces an existing file at the
    end if the digest of the whole is that of the service.

    Args:
        client: Client of the service.
        path: Path below `/api`.
        target: The file; its folder is created.
        asked: Parameters of the request.
        on_progress: Called after each piece.
        notify: Called once if the service is not reachable.

    Returns:
        The file.

    Raises:
        InputError: The file cannot be written, another process downloads it, or what is asked for
            is not there.
        ServiceError: The digest differs from that of the service.
        UnavailableError: The service was not reachable for five minutes.
    """
    try:
        with _partial(target) as file:
            _collect(client, path, file, asked, on_progress, notify)
            os.fsync(file.fileno())
            Path(file.name).replace(target)
    except OSError as error:
        raise InputError(
            f"{target}: expected a file to write, cannot ({error.strerror}); free some space or "
            "choose another folder with --output"
        ) from None
    return target


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[BinaryIO]:
    """Open the partial file, which one process writes at a time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.part").open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{target}: another process is downloading it; wait for its end, or choose another "
                "folder with --output"
            ) from None
        yield file


def _collect(
    client: Client,
    path: str,
    file: BinaryIO,
    asked: Mapping[str, str],
    on_progress: OnProgress,
    notify: Tell,
) -> None:
    """Ask for what is missing until everything is here, at most five minutes without a byte."""
    since_s, before = time.monotonic(), -1
    begun = 0
    while begun < _MOST_BEGINNINGS:
        try:
            if _receive(client, path, file, asked, on_progress):
                return
            begun += 1
        except (UnavailableError, requests.RequestException) as error:
            now_s, here = time.monotonic(), _size(file)
            if here != before:
                since_s, before = now_s, here
                notify(f"{client.url} does not answer for now; retrying")
            if now_s - since_s > retry.PATIENCE_S:
                raise UnavailableError(
                    f"{client.url} does not answer; the same command continues the download"
                ) from error
            time.sleep(retry.POLL_S)
    raise ServiceError(f"{client.url}: what was received does not have the digest it states")


def _receive(
    client: Client,
    path: str,
    file: BinaryIO,
    asked: Mapping[str, str],
    on_progress: OnProgress,
) -> bool:
    """Receive what is missing; return whether the whole is here, else the file is empty again."""
    here = _size(file)
    headers = {"Range": f"bytes={here}-"} if here else {}
    with client.open(path, headers=headers, params=dict(asked)) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            file.truncate(0)  # of a longer file, or whole but not renamed
            return False
        start, whole = _span(answer)
        if start != here:
            file.truncate(0)
        for piece in answer.iter_content(_PIECE):
            file.write(piece)
            on_progress(file.tell(), whole)
        if _sha256(file) == _expected(client, answer):
            return True
    file.truncate(0)  # e.g. the beginning was that of an earlier file
    return False


def _span(answer: requests.Response) -> tuple[int, int]:
    """Return the first byte of the content, and the size of the whole; 0 if it is not known."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status_code == requests.codes.partial_content and found:
        return int(found[1]), int(found[2])
    return 0, int(answer.headers.get("Content-Length", 0))


def _expected(client: Client, answer: requests.Response) -> str:
    found = _DIGEST.search(answer.headers.get("Repr-Digest", ""))
    if not found:
        raise ServiceError(f"{client.url}: expected a digest of the file, got none")
    return base64.b64decode(found[1]).hex()


def _sha256(file: BinaryIO) -> str:
    file.seek(0)  # also writes what is buffered
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _size(file: BinaryIO) -> int:
    file.flush()
    return os.fstat(file.fileno()).st_size
