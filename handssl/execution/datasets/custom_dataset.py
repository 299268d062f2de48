"""Custom datasets, packed from an object that has images and labels."""

from __future__ import annotations

from pathlib import Path

from handssl.data.config import PackedData
from handssl.data.crops import CONTEXT, CROP_PX
from handssl.data.manifest import Cropping
from handssl.data.packing import Progress, pack
from handssl.data.sample import SPLITS, Reader
from handssl.data.stores import packing_place
from handssl.errors import InputError
from handssl.execution.storage import resolve_storage
from handssl.pose.crop_rules import CropRule


def add_dataset(
    reader: Reader,
    *,
    storage: Path | str | None = None,
    crop_px: int = CROP_PX,
    context: float = CONTEXT,
    crop: CropRule = "published",
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> PackedData:
    """Pack a dataset into a storage, unless it is there, and return its entry for a study.

    Args:
        reader: An object with `name`, `fingerprint`, `splits`, `split_rule`, a length, and samples
            by position; see `handssl.data.sample.Reader`. Subclassing is not needed. Packing in
            several processes requires that it is picklable. With a method `file_of(position)`,
            files that were replaced later are detected and packed again.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        crop_px: Side of the stored crops in pixels.
        context: Side of a crop in multiples of the box side; at least what transformations need.
        crop: Box around labelled joints, `published` or `extent`, see `handssl.pose.crop_box`.
        workers: Number of processes; default: one per core.
        on_progress: Called with (samples done, total samples).

    Returns:
        The value for `Study(data=...)`: name and fingerprint, never a path.

    Raises:
        InputError: The object lacks an attribute or a split.
        DataError: A sample is damaged, or the disk is full.

    Example:
        >>> add_dataset("my images")
        Traceback (most recent call last):
        handssl.errors.InputError: add_dataset: expected a reader of images, str has no name, ...
    """
    _require_reader(reader)
    folder = packing_place(reader, resolve_storage(storage), Cropping(crop_px, context, crop))
    store = pack(
        reader,
        folder,
        crop_px=crop_px,
        context=context,
        crop=crop,
        workers=workers,
        on_progress=on_progress,
    )
    return PackedData(name=reader.name, fingerprint=store.manifest.fingerprint[:12])


def _require_reader(reader: object) -> None:
    wanted = ("name", "fingerprint", "splits", "split_rule", "__len__", "__getitem__")
    missing = [name for name in wanted if not hasattr(reader, name)]
    if missing:
        raise InputError(
            f"add_dataset: expected a reader of images, {type(reader).__name__} has no "
            f"{', '.join(missing)}"
        )
    lacking = [split for split in SPLITS if split not in getattr(reader, "splits", {})]
    if lacking:
        raise InputError(
            f"add_dataset: expected the splits {', '.join(SPLITS)}, {getattr(reader, 'name', '')} "
            f"has no {', '.join(lacking)}"
        )
