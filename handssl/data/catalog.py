"""Open a dataset by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handssl.config import nearest
from handssl.data.procedural import ProceduralReader, ProceduralSpec
from handssl.data.readers.detected import DetectedReader
from handssl.data.readers.folder import FolderReader
from handssl.data.readers.freihand import FreihandReader
from handssl.data.readers.interhand import InterhandReader
from handssl.data.readers.npz import NpzReader
from handssl.data.sample import SPLITS, Dataset, Reader, Split, SplitView
from handssl.errors import InputError

_ON_DISK: dict[str, tuple[Callable[..., Reader], str]] = {
    "freihand": (FreihandReader, "the folder with training/ and training_K.json"),
    "interhand": (InterhandReader, "the folder with images/ and annotations/"),
    "folder": (FolderReader, "the folder with the images"),
    "npz": (NpzReader, "the file, or the folder with the *.npz"),
}
NAMES = ("procedural", *_ON_DISK)


def open_dataset(
    name: str, root: Path | str | None = None, split: Split = "pretrain", **options: Any
) -> Dataset:
    """Open one split of a dataset.

    Args:
        name: `procedural`, `freihand`, `interhand`, `folder` or `npz`.
        root: File or folder of the dataset; not needed for `procedural`.
        split: One of pretrain, probe, select, test; with FreiHAND also evaluation.
        options: Options of `open_reader`.

    Returns:
        A sequence of samples.

    Raises:
        InputError: The name, split or option is unknown, or the root is missing.
        DataError: The files differ from the expected layout.

    Example:
        >>> len(open_dataset("procedural", split="probe", probe=5))
        5
    """
    if split not in (*SPLITS, "evaluation"):
        raise InputError(f"unknown split {split!r}{nearest(split, (*SPLITS, 'evaluation'))}")
    return SplitView(open_reader(name, root, **options), split)


def open_reader(name: str, root: Path | str | None = None, **options: Any) -> Reader:
    """Open a whole dataset: every image once, and its splits.

    Args:
        name: `procedural`, `freihand`, `interhand`, `folder` or `npz`.
        root: File or folder of the dataset; not needed for `procedural`.
        options: Fields of `ProceduralSpec`, or keywords of the reader: `rule`, `versions`,
            `evaluation_root` (freihand), those of `InterhandOptions` (interhand), `boxes` (CSV of
            a detector, for every dataset on disk; see `FolderReader` and `DetectedReader`).

    Returns:
        The reader.

    Raises:
        InputError: The name or option is unknown, or the root is missing.
        DataError: The files differ from the expected layout.
    """
    if name not in NAMES:
        raise InputError(f"unknown dataset {name!r}{nearest(name, NAMES)}")
    if name == "procedural":
        return ProceduralReader(ProceduralSpec.parse(options))
    boxes = options.pop("boxes", None) if name != "folder" else None
    reader, expected = _ON_DISK[name]
    if root is None:
        raise InputError(f"{name}: expected a root, {expected}")
    valid = list(inspect.signature(reader).parameters)[1:]
    unknown = [option for option in options if option not in valid]
    if unknown:
        raise InputError(
            f"{name}: unknown option {unknown[0]!r}{nearest(unknown[0], valid or ['none'])}"
        )
    opened = reader(Path(root), **options)
    return opened if boxes is None else DetectedReader(opened, Path(boxes))
