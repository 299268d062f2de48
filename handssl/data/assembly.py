"""Assemble finished shards into a store: labels, splits and manifest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from handssl.data.arrays import Arrays, save_arrays
from handssl.data.manifest import FILE, Cropping, Manifest, digest
from handssl.data.sample import Reader, Rows
from handssl.data.shards import LABELS, POSES, finished_shards, read_shard
from handssl.data.sources import Sources, save_sources
from handssl.errors import DataError


def assemble(reader: Reader, folder: Path, *, recipe: str, cropping: Cropping) -> None:
    """Write labels, splits and manifest beside the packed crops.

    Args:
        reader: Dataset that defines the splits.
        folder: Folder in which all shards are finished.
        recipe: Recipe fingerprint of the packing.
        cropping: Settings of the crops.

    Raises:
        DataError: Every sample is damaged.
        OSError: The disk is full or failed.
    """
    shards = [read_shard(path) for _, path in sorted(finished_shards(folder).items())]
    damage = [str(message) for shard in shards for message in shard["damage"]]
    labels = _labels(shards)
    if not labels:
        raise DataError(f"{folder}: expected samples, found none; the first damaged: {damage[:1]}")
    splits = _splits(reader, labels["slots"])
    _replace(folder / "labels", labels)
    _replace(folder / "splits", splits)
    save_sources(folder, Sources.joined([Sources.read(shard) for shard in shards]))
    (folder / "damaged.txt").write_text("".join(f"{line}\n" for line in damage), encoding="utf-8")
    prints = tuple(str(shard["digest"]) for shard in shards)
    manifest = Manifest(
        dataset=reader.name,
        recipe=recipe,
        fingerprint=content_fingerprint(cropping, prints, splits),
        images=len(labels["ids"]),
        rows=len(reader),
        crop_px=cropping.crop_px,
        context=cropping.context,
        crop=cropping.rule,
        splits={name: len(splits[name]) for name in reader.splits},
        split_rule=reader.split_rule,
        labelled="uv" in labels,
        box=getattr(reader, "box", "labels"),
        mirrored=int(labels["mirrored"].sum()),
        damaged=len(damage),
        outside_share=float(labels["outside"].mean()),
        notes=tuple(getattr(reader, "notes", ())),
        made_with={"handssl": version("handssl"), "opencv": cv2.__version__},
        shards=prints,
    )
    _write_last(folder / FILE, manifest.sealed().model_dump_json(indent=2))


def content_fingerprint(cropping: Sequence[object], shards: tuple[str, ...], splits: Arrays) -> str:
    """Return a digest (32 hex characters) of every pixel, label and split of a store.

    Args:
        cropping: Settings of the crops; of a store packed before there were rules, without one.
        shards: Digests of the ranges of rows.
        splits: Samples of each split.
    """
    members = [f"{name} {digest(splits[name].tolist())}" for name in sorted(splits)]
    return digest((*cropping, *shards, *members))


def _labels(shards: list[Arrays]) -> Arrays:
    """Concatenate the labels of all shards; poses are left out if no sample is labelled."""
    filled = [shard for shard in shards if "ids" in shard]
    if not filled:
        return {}
    labelled = any(shard["valid"].any() for shard in filled)
    names = [name for name in LABELS if labelled or name not in POSES]
    return {name: np.concatenate([shard[name] for shard in filled]) for name in names}


def _splits(reader: Reader, positions: Rows) -> Arrays:
    """Map positions in the reader to positions among the samples that were kept."""
    place = np.full(len(reader), -1, dtype=np.int64)
    place[positions] = np.arange(len(positions))
    moved = {name: place[rows] for name, rows in reader.splits.items()}
    return {name: rows[rows >= 0] for name, rows in moved.items()}


def _replace(folder: Path, arrays: Arrays) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    save_arrays(folder, arrays)


def _write_last(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
