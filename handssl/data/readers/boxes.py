"""Bounding boxes of a hand detector, read from CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from handssl.config import nearest
from handssl.errors import DataError
from handssl.pose.crop_rules import BOX_MARGIN

COLUMNS = ("file", "x", "y", "width", "height")
_SHOWN = 20


@dataclass(frozen=True)
class Box:
    """One detected hand.

    Attributes:
        x: Left edge in pixels.
        y: Upper edge in pixels.
        width: Width in pixels.
        height: Height in pixels.
        side: Handedness, right or left.
    """

    x: float
    y: float
    width: float
    height: float
    side: Literal["right", "left"] = "right"

    def square_in(self, width_px: int, height_px: int, where: str) -> tuple[float, float, float]:
        """Return (centre x, centre y, side) of the crop box in pixels.

        Args:
            width_px: Width of the image in pixels.
            height_px: Height of the image in pixels.
            where: Name of the image for messages.

        Raises:
            DataError: The box lies outside its image.
        """
        inside_x = self.x < width_px and self.x + self.width > 0
        if not (inside_x and self.y < height_px and self.y + self.height > 0):
            raise DataError(
                f"{where}: expected a box inside {width_px} x {height_px} pixels, found {self}"
            )
        # Edges lie between pixels; coordinates count from the centre of the first pixel.
        # The margin around labelled joints: a detector's box is tight around the hand.
        centre_x, centre_y = self.x + self.width / 2 - 0.5, self.y + self.height / 2 - 0.5
        return centre_x, centre_y, BOX_MARGIN * max(self.width, self.height)


def read_boxes(path: Path, files: Collection[str]) -> dict[str, list[Box]]:
    """Read a CSV of boxes: a header, then one line for each hand.

    Columns: `file` (relative to the folder of the images), `x`, `y` (upper left corner), `width`,
    `height`, all in pixels, and optionally `side`, `right` or `left`. Others are ignored.

    Args:
        path: The CSV file.
        files: Names of the existing images.

    Returns:
        The boxes of each file, in the order of the lines.

    Raises:
        DataError: The file cannot be read or has mistakes; all of them are listed.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            return _read(path, csv.DictReader(lines), set(files))
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV with boxes, cannot read it ({error})") from None


def _read(path: Path, rows: csv.DictReader[str], files: set[str]) -> dict[str, list[Box]]:
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise DataError(
            f"{path}: line 1: expected a header with {', '.join(COLUMNS)}, "
            f"missing {', '.join(missing)}"
        )
    boxes = _collect(path, rows, files)
    if not boxes:
        raise DataError(f"{path}: expected a line for each box, found only a header")
    return boxes


def _collect(path: Path, rows: csv.DictReader[str], files: set[str]) -> dict[str, list[Box]]:
    boxes: dict[str, list[Box]] = {}
    mistakes: list[str] = []
    for row in rows:
        found = _box(row, files, hint=len(mistakes) < _SHOWN)
        if isinstance(found, Box):
            boxes.setdefault(row["file"], []).append(found)
        else:
            mistakes.append(f"  line {rows.line_num}: {found}")
    if mistakes:
        more = f"\n  and {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise DataError("\n".join([f"{count} in {path}:", *mistakes[:_SHOWN]]) + more)
    return boxes


def _box(row: dict[str, str], files: set[str], *, hint: bool) -> Box | str:
    """Return the box of a line, or an error message; with `hint`, it suggests a close name."""
    if row["file"] not in files:
        close = nearest(row["file"], sorted(files))[:200] if hint and len(files) < 1000 else ""
        return f"file: expected an image, found none named {row['file']!r}{close}"
    try:
        x, y, width, height = (float(row[name]) for name in COLUMNS[1:])
    except (TypeError, ValueError):
        values = ", ".join(str(row[name]) for name in COLUMNS[1:])
        return f"x, y, width, height: expected four numbers, found {values}"
    side = (row.get("side") or "right").strip()
    if not (math.isfinite(x + y + width + height) and width > 0 and height > 0):
        return f"width, height: expected an area, found {width:g} x {height:g} at ({x:g}, {y:g})"
    if side not in ("right", "left"):
        return f"side: expected right or left, found {side!r}"
    return Box(x, y, width, height, "left" if side == "left" else "right")
