"""Read checkpoints after verifying their digest, without executing code."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch

from handssl.errors import DataError
from handssl.training.checkpoints.format import DIGEST, LENGTH_BYTES, NO_DIGEST, START, VERSION
from handssl.training.checkpoints.tree import restore

_FORMAT_1 = b"PK\x03\x04"  # it was a zip file


class DamagedError(DataError):
    """A checkpoint differs from what was written."""


class MissingError(DataError):
    """A checkpoint does not exist, or not any more."""


_KINDS = {errno.EIO: DamagedError, errno.ENOENT: MissingError}


def read(path: Path) -> Any:
    """Read a checkpoint after verifying its digest.

    Args:
        path: The file.

    Returns:
        The state passed to `encode`, with tensors on the CPU.

    Raises:
        DamagedError: The content differs from what was written.
        MissingError: There is no such file.
        DataError: The file cannot be opened, or is of another version of the format.
    """
    content = _content(path)
    if content.startswith(_FORMAT_1):
        raise other_version(path, "1")
    if reason := _damage(content):
        raise DamagedError(f"{path}: expected a checkpoint of handssl, cannot read it ({reason})")
    metadata = _metadata(content)
    if metadata["version"] != str(VERSION):
        raise other_version(path, metadata["version"])
    return restore(metadata["state"], safetensors.torch.load(content))


def other_version(path: Path, version: str) -> DataError:
    """Return the error for a checkpoint of another version of handssl.

    Args:
        path: The file.
        version: Version of its format.
    """
    return DataError(
        f"{path}: expected a checkpoint of format {VERSION}, found format {version}; continue with "
        "the version of handssl that wrote it, or remove the file to start again"
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        # An unreadable sector is damage; missing permission is not.
        kind = _KINDS.get(error.errno or 0, DataError)
        raise kind(
            f"{path}: expected a checkpoint of handssl, cannot read it ({error.strerror})"
        ) from None


def _damage(content: bytes) -> str:
    if len(content) < DIGEST.stop:
        return f"only {len(content)} bytes are left"
    if content[LENGTH_BYTES : DIGEST.start] != START:
        return "it does not start like one"
    digest = hashlib.sha256(content[: DIGEST.start] + NO_DIGEST)
    digest.update(memoryview(content)[DIGEST.stop :])
    if digest.hexdigest().encode() != content[DIGEST]:
        return "its content does not match its SHA-256"
    return ""


def _metadata(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(content[LENGTH_BYTES : LENGTH_BYTES + length])
    return dict(header["__metadata__"])


@dataclass(frozen=True)
class RunState:
    """State required to resume a run, after an epoch or within one.

    Attributes:
        epoch: Last complete epoch, counted from 1.
        training: State from `Pretraining.state`: model, optimizer, schedule, and the completed part
            of a stopped epoch.
        configuration: Resolved configuration as plain values.
        fingerprint: Fingerprint of the data.
        results: Metrics of every epoch so far.
        run_id: Id of the tracked run, or None.
    """

    epoch: int
    training: dict[str, Any]
    configuration: dict[str, Any]
    fingerprint: str
    results: list[dict[str, float]]
    run_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the content to write: the parts of the training at the top, for short names."""
        rest = {name: value for name, value in vars(self).items() if name != "training"}
        return {**self.training, "run": rest}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> RunState:
        """Return the state from the content of `to_dict`."""
        training = {name: value for name, value in content.items() if name != "run"}
        return cls(training=training, **content["run"])
