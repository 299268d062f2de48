"""Draw contact sheets of crops with skeletons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.crops import crop_sample
from handssl.data.sample import Sample
from handssl.errors import DataError
from handssl.pose.skeleton import BONES

Image = NDArray[np.uint8]

# Five colours that are colour-blind safe (Okabe and Ito), thumb to little finger.
FINGER_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167))

_BACKGROUND, _INK, _WRIST = (24, 26, 30), (214, 217, 222), (255, 255, 255)
_GAP_PX, _CAPTION_PX = 10, 20
_CONTEXT, _LETTERS = 1.75, 0.38
_SUBPIXEL_BITS = 4


def contact_sheet(
    samples: Iterable[Sample], *, columns: int | None = None, cell_px: int = 176
) -> Image:
    """Draw the crops of a reader's samples, before packing.

    Args:
        samples: At least one sample; without labels only the box is marked.
        columns: Crops per row; None makes the sheet about square.
        cell_px: Side of each crop on the sheet in pixels.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        DataError: A box has no area.

    Example:
        >>> hand = Sample(np.full((40, 50, 3), 90, np.uint8), 7, 7, "hand.png")
        >>> contact_sheet([hand] * 3, columns=3, cell_px=100).shape
        (130, 340, 3)
    """
    cells = [(crop_sample(sample, cell_px, _CONTEXT), _caption(sample)) for sample in samples]
    return sheet_of_crops(
        np.stack([image for (image, _), _ in cells]),
        np.stack([row["uv"] for (_, row), _ in cells]),
        np.stack([row["valid"] for (_, row), _ in cells]),
        [caption for _, caption in cells],
        _CONTEXT,
        columns=columns,
        cell_px=cell_px,
    )


def _caption(sample: Sample) -> str:
    return f"id {sample.id} {sample.side}{', mirrored' if sample.mirrored else ''}"


def sheet_of_crops(
    images: Image,
    uv: NDArray[np.float64] | None,
    valid: NDArray[np.bool_],
    captions: Sequence[str],
    context: float,
    *,
    columns: int | None = None,
    cell_px: int = 176,
) -> Image:
    """Draw crops in rows, each with skeleton, crop box and caption.

    Args:
        images: Crops, uint8 (N, S, S, 3), RGB.
        uv: Joints in crop pixels, (N, 21, 2); None draws no skeleton.
        valid: Joint validity, bool (N, 21); invalid joints and their bones are left out.
        captions: N short texts.
        context: Side of a crop in box sides; the box is marked at its corners.
        columns: Crops per row; None makes the sheet about square.
        cell_px: Side of each crop on the sheet in pixels.

    Returns:
        uint8 (H, W, 3), RGB.

    Example:
        >>> crops = np.zeros((3, 32, 32, 3), dtype=np.uint8)
        >>> sheet_of_crops(crops, None, np.zeros((3, 21), bool), ["a", "b", "c"], 1.75).shape
        (412, 382, 3)
    """
    columns = columns or math.ceil(math.sqrt(len(images) * 1.2) if len(images) > 1 else 1)
    rows = math.ceil(len(images) / columns)
    step_x, step_y = cell_px + _GAP_PX, cell_px + _CAPTION_PX + _GAP_PX
    size = (rows * step_y, columns * step_x + _GAP_PX, 3)
    sheet = np.full(size, _BACKGROUND, dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * step_y + _GAP_PX, number % columns * step_x + _GAP_PX
        cell = _enlarged(image, cell_px)
        _draw_box(cell, context)
        if uv is not None:
            draw_skeleton(cell, (uv[number] + 0.5) * cell_px / len(image) - 0.5, valid[number])
        sheet[top : top + cell_px, left : left + cell_px] = cell
        _write(sheet, captions[number], left, top + cell_px + 14, cell_px)
    return sheet


def write_sheet(path: Path, image: Image) -> None:
    """Write an RGB image as PNG.

    Raises:
        DataError: The file cannot be written.
    """
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None


def _enlarged(image: Image, side_px: int) -> Image:
    way = cv2.INTER_AREA if side_px < len(image) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=way), dtype=np.uint8)


def _draw_box(cell: Image, context: float) -> None:
    """Mark the corners of the crop box."""
    side = len(cell)
    low, high = side * (0.5 - 0.5 / context), side * (0.5 + 0.5 / context) - 1
    arm = 0.08 * side
    for x, towards_x in ((low, arm), (high, -arm)):
        for y, towards_y in ((low, arm), (high, -arm)):
            _line(cell, (x, y), (x + towards_x, y), _INK, 1)
            _line(cell, (x, y), (x, y + towards_y), _INK, 1)


def draw_skeleton(
    image: Image, uv: NDArray[np.float64], valid: NDArray[np.bool_], *, width_px: int = 2
) -> None:
    """Draw the bones and joints of a hand, a colour for each finger.

    Args:
        image: Image to draw on, uint8 (H, W, 3), RGB.
        uv: Joints in its pixels, (21, 2).
        valid: Joints to draw, bool (21,), with the bones between them.
        width_px: Width of the bones in pixels.
    """
    for parent, joint in BONES:
        if valid[parent] and valid[joint]:
            _line(image, uv[parent], uv[joint], FINGER_COLOURS[(joint - 1) // 4], width_px)
    for joint in np.flatnonzero(valid).tolist():
        colour = FINGER_COLOURS[(joint - 1) // 4] if joint else _WRIST
        centre, radius = _fixed(uv[joint]), int(1.3 * width_px * 2**_SUBPIXEL_BITS)
        cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _line(cell: Image, start: Any, end: Any, colour: tuple[int, int, int], width: int) -> None:
    cv2.line(cell, _fixed(start), _fixed(end), colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(point: Any) -> tuple[int, int]:
    x, y = np.clip(np.asarray(point, dtype=float), -1e4, 1e4) * 2**_SUBPIXEL_BITS
    return round(float(x)), round(float(y))


def _write(sheet: Image, text: str, left: int, baseline: int, room_px: int) -> None:
    """Write a line, scaled down if it is longer than its cell."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    (length_px, _), _ = cv2.getTextSize(text, font, _LETTERS, 1)
    size = _LETTERS * min(1.0, room_px / max(length_px, 1))
    cv2.putText(sheet, text, (left, baseline), font, size, _INK, 1, cv2.LINE_AA)
