"""Predicted 2.5D poses of a trial, as they are kept: half precision, one file, no pickle.

The file is a `.npz` archive that `numpy.load` opens. For each of the splits `select` and `test` it
has `<split>_uv`, `<split>_z` and `<split>_ids` (see `Predictions`); `data` is the fingerprint of
the labelled data, `version` that of this layout. Equal predictions give equal bytes, and a damaged
member is noticed by its checksum.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.data.sample import Split
from handssl.data.splits import StudyData
from handssl.data.store import PackedSplit
from handssl.errors import DataError
from handssl.evaluation.targets import from_columns
from handssl.pose.skeleton import JOINT_COUNT

FILE = "predictions.npz"
SPLITS: tuple[Split, ...] = ("select", "test")
HAND_BYTES = JOINT_COUNT * 3 * 2 + 8
"""Size of one hand in the file: 21 joints of three half-precision numbers, and its id."""

_VERSION = 1
_LARGEST = float(np.finfo(np.float16).max)

Columns = Mapping[Split, torch.Tensor]
OnPredictions = Callable[[Columns], None]
"""Function that receives the predicted columns (N, 63) of every split that was predicted."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted 2.5D poses of the hands of one split.

    Half precision rounds a value x by at most max(2^-11 |x|, 2^-25).

    Attributes:
        uv: Joints in box sides from the centre of the crop, x right and y down, float16 (N, 21, 2).
        z: Depths relative to the wrist in lengths of the bone wrist to middle_mcp, float16 (N, 21).
        ids: Sample ids, int64 (N,).
    """

    uv: NDArray[np.float16]
    z: NDArray[np.float16]
    ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, columns: torch.Tensor, split: PackedSplit) -> Self:
        """Return the predicted columns (N, 63) of a split in half precision.

        Values beyond +-65,504, the range of half precision, become its ends.
        """
        uv, z = from_columns(columns.detach().cpu())
        return cls(_half(uv), _half(z), split.ids.numpy())

    @property
    def columns(self) -> torch.Tensor:
        """The predictions as the 63 columns of the probe, float64 (N, 63)."""
        flat = np.concatenate((self.uv.reshape(len(self), -1), self.z), axis=1)
        return torch.from_numpy(flat.astype(np.float64))


@dataclass(frozen=True, eq=False)
class TrialPredictions:
    """Content of a trial's file.

    Attributes:
        data: Fingerprint of the labelled data.
        splits: Predictions by split.
    """

    data: str
    splits: Mapping[Split, Predictions]

    @classmethod
    def of(cls, columns: Columns, data: StudyData) -> Self:
        """Return predicted columns (N, 63) by split as they are kept."""
        kept = {name: Predictions.of(values, data.store(name)) for name, values in columns.items()}
        return cls(data.labelled.manifest.fingerprint, kept)

    def encode(self) -> bytes:
        """Return the file's content.

        Example:
            >>> uv, z = np.zeros((2, 21, 2), np.float16), np.ones((2, 21), np.float16)
            >>> kept = TrialPredictions("ab12", {"test": Predictions(uv, z, np.array([7, 9]))})
            >>> decode(kept.encode()).splits["test"].ids.tolist()
            [7, 9]
        """
        arrays: dict[str, Any] = {"version": np.array(_VERSION), "data": np.array(self.data)}
        for name, one in self.splits.items():
            arrays |= {f"{name}_uv": one.uv, f"{name}_z": one.z, f"{name}_ids": one.ids}
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()


def decode(content: bytes, *, where: str = FILE) -> TrialPredictions:
    """Read the content of a file.

    Args:
        content: The bytes of the file.
        where: Path of the file, for messages.

    Raises:
        DataError: The content is damaged, or of another version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        version, data = int(arrays["version"]), str(arrays["data"])
        splits = {name: _split(arrays, name) for name in SPLITS if f"{name}_ids" in arrays}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{where}: expected the predictions of a trial, cannot read them "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from None
    if version != _VERSION:
        raise DataError(
            f"{where}: expected predictions in layout {_VERSION}, found layout {version}; read "
            "them with the version of handssl that wrote them"
        )
    return TrialPredictions(data, splits)


def _split(arrays: Mapping[str, NDArray[Any]], name: str) -> Predictions:
    uv, z, ids = (arrays[f"{name}_{part}"] for part in ("uv", "z", "ids"))
    count = len(ids)
    shapes = ((count, JOINT_COUNT, 2), (count, JOINT_COUNT), (count,))
    if (uv.shape, z.shape, ids.shape) != shapes:
        raise ValueError(f"{name}: wrong shapes {uv.shape}, {z.shape}, {ids.shape}")
    return Predictions(uv, z, ids)


def _half(values: torch.Tensor) -> NDArray[np.float16]:
    return values.clamp(-_LARGEST, _LARGEST).numpy().astype(np.float16)
