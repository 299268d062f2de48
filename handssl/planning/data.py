"""Facts about a study's data, collected without preparing or writing anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from handssl.data.config import DataConfig, ProceduralData
from handssl.data.manifest import FILE, Manifest, digest
from handssl.data.preparation import procedural_store
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
    return (
        _procedural(data, storage) if isinstance(data, ProceduralData) else _packed(data, storage)
    )


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


def _packed(data: DataConfig, storage: Path) -> DataFacts:
    assert not isinstance(data, ProceduralData)  # noqa: S101  checked by the caller
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
