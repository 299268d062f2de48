"""Facts about a study's data, collected without preparing or writing anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from handssl.data.config import (
    CrossData,
    DataConfig,
    PackedData,
    ProceduralData,
    UnionData,
    parts_of,
)
from handssl.data.manifest import FILE, Manifest, digest
from handssl.data.preparation import procedural_store
from handssl.data.splits import union_fingerprint
from handssl.data.stores import find_store
from handssl.errors import DataError, InputError
from handssl.pose.crop_rules import BoxSource


@dataclass(frozen=True)
class DataFacts:
    """Current state of a dataset.

    Attributes:
        described: Description of what determines the data; part of the plan's hash.
        fingerprint: Fingerprint of its content; None until it is there.
        images: Number of images per split; None until they are known.
        labelled: Folder of the store with labels; None until it is there.
        pretrain: Folder of the pretraining store; None until it is there.
        missing: What happens or has to be done if the data is not there; empty if it is.
        bytes_to_make: Disk space in bytes that its preparation will need.
        boxes: What the crop boxes of the labelled images come from; None until it is known.
    """

    described: str
    fingerprint: str | None
    images: dict[str, int] | None
    labelled: Path | None = None
    pretrain: Path | None = None
    missing: str = ""
    bytes_to_make: int = 0
    boxes: BoxSource | None = None


def inspect_dataset(data: DataConfig, storage: Path) -> DataFacts:
    """Return what is known of a dataset; nothing is written.

    Args:
        data: Configuration of the dataset.
        storage: Root of all results.
    """
    if isinstance(data, UnionData):
        return _union(data, storage)
    if isinstance(data, CrossData):
        return _cross(data, storage)
    return (
        _procedural(data, storage) if isinstance(data, ProceduralData) else _packed(data, storage)
    )


def _union(data: UnionData, storage: Path) -> DataFacts:
    own, *others = (inspect_dataset(one, storage) for one in parts_of(data))
    sources, like = others[: len(data.pretrain)], others[-1] if data.like else own
    counts = like.images or {}
    images = counts.get("pretrain") or counts.get("probe", 0)
    prints = [one.fingerprint for one in (own, *sources) if one.fingerprint]
    is_known = len(prints) == 1 + len(sources) and images
    lacks = any(one.images is None for one in (own, *others))
    # A dataset that is listed twice, with labels and for pretraining, is made and missed once.
    made = {one.described: one.bytes_to_make for one in (own, *others)}
    described = (own.described, *(one.described for one in others), *map(str, data.shares))
    return replace(
        own,
        described=" ".join(described),
        fingerprint=union_fingerprint(*prints, shares=data.shares, epoch_images=images)
        if is_known
        else None,
        images=None if lacks else {**(own.images or {}), "pretrain": images},
        pretrain=None,
        missing=_missing(own, *others),
        bytes_to_make=sum(made.values()),
    )


def _cross(data: CrossData, storage: Path) -> DataFacts:
    own, other = (inspect_dataset(one, storage) for one in parts_of(data))
    prints = (own.fingerprint, other.fingerprint)
    test = (other.images or {}).get("test", 0)
    lacks = own.images is None or other.images is None
    return replace(
        own,
        described=f"{own.described} evaluated {other.described}",
        fingerprint=digest((prints[0], "evaluated", prints[1])) if all(prints) else None,
        images=None if lacks else {**(own.images or {}), "test": test},
        pretrain=None,
        missing=_missing(own, other),
        bytes_to_make=0,  # counted with the datasets that encoders are trained on
    )


def _missing(*facts: DataFacts) -> str:
    return "\n".join(dict.fromkeys(one.missing for one in facts if one.missing))


def _procedural(data: ProceduralData, storage: Path) -> DataFacts:
    described = f"{data.name} {data.procedural().fingerprint} {data.crop_px} {data.crop}"
    folder = procedural_store(data, storage)
    if (folder / FILE).is_file():
        fingerprint = Manifest.read(folder).fingerprint
        return DataFacts(described, fingerprint, _counts(data), folder, folder, boxes=data.crop)
    images = sum(_counts(data).values())
    # Packed crops are uncompressed; a rendered file takes about a third of its pixels' bytes.
    to_make = images * 3 * data.crop_px**2 + images * data.image_px**2
    hint = "procedural hands are rendered when the study is first run"
    return DataFacts(
        described, None, _counts(data), missing=hint, bytes_to_make=to_make, boxes=data.crop
    )


def _packed(data: PackedData, storage: Path) -> DataFacts:
    asked = f"{data.name} {data.fingerprint or ''}".strip()
    try:
        labelled = find_store(data.name, data.fingerprint, storage)
        other = data.pretrain
        pretrain = find_store(other.name, other.fingerprint, storage) if other else labelled
    except (InputError, DataError) as error:
        return DataFacts(asked, None, None, missing=str(error).removeprefix("data: "))
    own, theirs = Manifest.read(labelled), Manifest.read(pretrain)
    images: dict[str, int] = {str(name): count for name, count in own.splits.items()}
    images["pretrain"] = theirs.splits.get("pretrain", 0)
    both = (own.fingerprint, theirs.fingerprint)
    fingerprint = own.fingerprint if other is None else digest(both)
    return DataFacts(fingerprint, fingerprint, images, labelled, pretrain, boxes=own.boxes)


def _counts(data: ProceduralData) -> dict[str, int]:
    return {name: getattr(data, name) for name in ("pretrain", "probe", "select", "test")}
