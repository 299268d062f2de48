"""Record the source files of samples and detect whether they have changed.

A file is identified by its state (size, mtime, ctime, inode), which is fast to compare, and by a
digest of its content, which decides if the state has changed: a copy is not a change. A sample that
was left out is read again each time to find out whether it is still damaged.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from handssl.data.arrays import Arrays
from handssl.data.crops import crop_sample
from handssl.data.manifest import Cropping
from handssl.data.sample import Reader, Rows, file_of
from handssl.errors import DataError

FILE = "sources.npz"
State = tuple[int, int, int, int]
Known = dict[tuple[Path, State], bytes]

ABSENT: State = (-1, 0, 0, 0)
_UNSETTLED: State = (-2, 0, 0, 0)  # differs from every state, so the digest is compared next time
# Clocks of file systems are coarse: a file may change again without a change of its state.
_SETTLES_NS = 3 * 10**9
# Larger files contain many samples: if their state has changed these are packed again.
_DIGESTED_BYTES = 64 * 2**20
_DIGEST_BYTES = 16
_UNKNOWN = bytes(_DIGEST_BYTES)


def state_of(file: Path | None) -> State:
    """Return size, mtime (ns), ctime (ns) and inode of a file."""
    try:
        found = None if file is None else file.stat()
    except OSError:
        found = None
    if found is None:
        return ABSENT
    # Some file systems have inode numbers that exceed int64.
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & (2**63 - 1)


@dataclass(frozen=True, eq=False)
class Sources:
    """The source files of a range of samples at the time of packing.

    Attributes:
        states: State of each sample's file, int64 (N, 4).
        digests: Digest of its content, uint8 (N, 16); 0 if unknown.
        left_out: Positions of the damaged samples among the N.
    """

    states: NDArray[np.int64]
    digests: NDArray[np.uint8]
    left_out: Rows

    @classmethod
    def read(cls, arrays: Arrays) -> Sources:
        """Return the sources among the arrays of a shard or of a store.

        Raises:
            KeyError: The arrays contain none, as those of an earlier version.
        """
        return cls(arrays["states"], arrays["digests"], arrays["left_out"])

    def arrays(self) -> Arrays:
        """Return the arrays that `read` reads."""
        return {"states": self.states, "digests": self.digests, "left_out": self.left_out}

    def part(self, start: int, stop: int) -> Sources:
        """Return the sources of the samples from `start` to `stop`."""
        kept = self.left_out[(self.left_out >= start) & (self.left_out < stop)]
        return Sources(self.states[start:stop], self.digests[start:stop], kept - start)

    @classmethod
    def joined(cls, parts: Sequence[Sources]) -> Sources:
        """Return the concatenated sources of some ranges, in order."""
        starts = np.cumsum([0, *(len(part.states) for part in parts)])
        return cls(
            np.concatenate([part.states for part in parts]),
            np.concatenate([part.digests for part in parts]),
            np.concatenate([start + part.left_out for start, part in zip(starts, parts)]),  # noqa: B905
        )

    def current(self, reader: Reader, first: int) -> Sources | None:
        """Return the sources with current states; None if the content of a file has changed.

        Args:
            reader: The dataset.
            first: Position of the first of the samples.
        """
        states, digests = self.states.copy(), Known()
        for number, known in enumerate(map(tuple, self.states.tolist())):
            file = file_of(reader, first + number)
            before = state_of(file)
            if before != known:
                states[number], digest = _observed(file, before, digests)
                if digest == _UNKNOWN or digest != self.digests[number].tobytes():
                    return None
        return Sources(states, self.digests, self.left_out)

    def damage(self, reader: Reader, first: int, cropping: Cropping) -> list[str] | None:
        """Read left-out samples again; return their errors, or None if one is intact now.

        Args:
            reader: The dataset.
            first: Position of the first of the samples.
            cropping: Settings of the crops.
        """
        found = []
        for number in self.left_out.tolist():
            try:
                crop_sample(reader[first + number], *cropping)
            except DataError as error:
                found.append(str(error))
            else:
                return None
        return found


class Observing:
    """Collector of the sources of a range of samples while they are packed."""

    def __init__(self) -> None:
        self._states: list[State] = []
        self._digests: list[bytes] = []
        self._left_out: list[int] = []
        self._known: Known = {}

    def add(self, file: Path | None, before: State, *, damaged: bool = False) -> None:
        """Add a sample that has just been read.

        Args:
            file: File it was read from.
            before: State of the file before reading.
            damaged: Whether the sample is left out.
        """
        if damaged:
            self._left_out.append(len(self._states))
        state, digest = _observed(file, before, self._known)
        self._states.append(state)
        self._digests.append(digest)

    def sources(self) -> Sources:
        """Return the collected sources."""
        digests = np.frombuffer(b"".join(self._digests), dtype=np.uint8)
        return Sources(
            np.array(self._states, dtype=np.int64).reshape(-1, len(ABSENT)),
            digests.reshape(-1, _DIGEST_BYTES),
            np.array(self._left_out, dtype=np.int64),
        )


def save_sources(folder: Path, sources: Sources) -> None:
    """Write the sources of a store into its folder, atomically.

    Raises:
        OSError: The disk is full or not writable.
    """
    partial = folder / f"{FILE}.partial"
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **sources.arrays())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def load_sources(folder: Path) -> Sources | None:
    """Return the sources of a store; None if it has none, as stores of earlier versions.

    Damaged sources also give None: everything is then packed again.
    """
    try:
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            return Sources.read(dict(arrays))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _observed(file: Path | None, before: State, known: Known) -> tuple[State, bytes]:
    """Return state and digest of a file, marked as unknown if it is still changing.

    Args:
        file: The file.
        before: State of the file before it was read.
        known: Digests computed so far; a file may contain many samples.
    """
    if file is None or before == ABSENT:
        return ABSENT, _UNKNOWN
    if (file, before) not in known:
        known[file, before] = _digest(file, before)
    if state_of(file) != before:  # it is being written: the content read is not known
        return _UNSETTLED, _UNKNOWN
    settled = max(before[1:3]) < time.time_ns() - _SETTLES_NS
    return before if settled else _UNSETTLED, known[file, before]


def _digest(file: Path, state: State) -> bytes:
    if state[0] > _DIGESTED_BYTES:
        return _UNKNOWN
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=_DIGEST_BYTES).digest()
    except OSError:
        return _UNKNOWN
