"""Labelled dataset whose crops are centred on a detector's boxes instead of its labels."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from handssl.data.readers.boxes import Box
from handssl.data.sample import Reader, Sample, file_of
from handssl.errors import DataError

COLUMNS = ("id", "x", "y", "width", "height")
_SHOWN = 20


class DetectedReader:
    """Reader that adds boxes from a CSV; errors measured on it are those of a deployed system.

    Args:
        reader: A labelled dataset.
        boxes: CSV with a header `id,x,y,width,height`: the sample's id, upper left corner and size
            in pixels of its image. A sample without a line counts as damaged.

    Raises:
        DataError: The file cannot be read or has mistakes; all of them are listed.
    """

    box = "detector"

    def __init__(self, reader: Reader, boxes: Path) -> None:
        self.reader, self.path = reader, Path(boxes)
        self.name, self.splits = reader.name, reader.splits
        self.split_rule = reader.split_rule
        self._boxes, content = _read(self.path)
        self.fingerprint = hashlib.blake2b(
            reader.fingerprint.encode() + content, digest_size=16
        ).hexdigest()
        self.notes = (*getattr(reader, "notes", ()), f"crops around the boxes of {self.path.name}")

    def __reduce__(self) -> tuple[Callable[..., DetectedReader], tuple[Reader, Path]]:
        return DetectedReader, (self.reader, self.path)

    def __len__(self) -> int:
        return len(self.reader)

    def file_of(self, index: int) -> Path | None:
        """Return the file that a sample's image is read from."""
        return file_of(self.reader, index)

    def __getitem__(self, index: int) -> Sample:
        sample = self.reader[index]
        where = f"{sample.source}: id {sample.id}"
        if sample.id not in self._boxes:
            raise DataError(f"{where}: expected a box in {self.path}, found none")
        height, width = sample.image.shape[:2]
        square = self._boxes[sample.id].square_in(width, height, where)
        if sample.mirrored:
            square = (width - 1 - square[0], *square[1:])
        return replace(sample, box=square, box_first=True)


def _read(path: Path) -> tuple[Mapping[int, Box], bytes]:
    try:
        content = path.read_bytes()
        rows = csv.DictReader(content.decode("utf-8-sig").splitlines())
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV with boxes, cannot read it ({error})") from None
    if missing:
        raise DataError(
            f"{path}: line 1: expected a header with {', '.join(COLUMNS)}, "
            f"missing {', '.join(missing)}"
        )
    boxes: dict[int, Box] = {}
    mistakes: list[str] = []
    for row in rows:
        found = _box(row)
        if isinstance(found, str):
            mistakes.append(f"  line {rows.line_num}: {found}")
        elif boxes.setdefault(found[0], found[1]) is not found[1]:
            mistakes.append(
                f"  line {rows.line_num}: id: expected each once, found {found[0]} again"
            )
    if mistakes:
        more = f"\n  and {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
        lines = [f"{len(mistakes)} mistake(s) in {path}:", *mistakes[:_SHOWN]]
        raise DataError("\n".join(lines) + more)
    return boxes, content


def _box(row: Mapping[str, str]) -> tuple[int, Box] | str:
    """Return id and box of a line, or an error message."""
    try:
        number = int(row["id"])
        x, y, width, height = (float(row[name]) for name in COLUMNS[1:])
    except (TypeError, ValueError):
        found = ", ".join(str(row[name]) for name in COLUMNS)
        return f"id, x, y, width, height: expected five numbers, found {found}"
    if not (math.isfinite(x + y + width + height) and width > 0 and height > 0):
        return f"width, height: expected an area, found {width:g} x {height:g} at ({x:g}, {y:g})"
    return number, Box(x, y, width, height)
