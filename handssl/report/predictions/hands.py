"""Figure of single hands: best, median and worst, with true and predicted skeletons."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.store import PackedSplit
from handssl.evaluation.probe import crop_pixels
from handssl.evaluation.targets import from_columns
from handssl.pose.skeleton import BONES
from handssl.report.figures.pictures import jpeg_url
from handssl.report.figures.svg import element, figure, line, text
from handssl.report.predictions.cells import PredictedCell

OF_EACH, KINDS = 2, ("best", "median", "worst")
_SIDE, _GAP, _CAPTION = 200, 10, 22
_SHOWN = 1.15  # side of the shown part of a crop, in sides of the crop box
_QUALITY = 78


def chosen_hands(cell: PredictedCell, of_each: int = OF_EACH) -> list[tuple[str, int]]:
    """Return the hands of the cell's first seed by their mean error: best, median and worst.

    Args:
        cell: The cell.
        of_each: Number of hands of each kind.

    Returns:
        (kind, position in the split), each hand once; one of each kind, then the next of each.
    """
    ranked = cell.errors[0].ranked.tolist()
    middle = max(0, (len(ranked) - of_each) // 2)
    wanted = (ranked[:of_each], ranked[middle : middle + of_each], ranked[::-1][:of_each])
    seen: dict[int, str] = {}
    for rows in zip(*wanted, strict=True):
        for kind, row in zip(KINDS, rows, strict=True):
            seen.setdefault(row, kind)
    return [(kind, row) for row, kind in seen.items()]


def hands_figure(cell: PredictedCell) -> str:
    """Return the crops of the chosen hands with both skeletons as an svg element.

    The true skeleton is drawn with whole lines, the predicted one with dashed ones.

    Args:
        cell: The cell; its first seed is shown.
    """
    chosen = chosen_hands(cell)
    if not chosen:
        return ""
    kept, errors = cell.trials[0], cell.errors[0]
    split = kept.labels("test")
    uv, _ = from_columns(kept.of("test").columns)
    predicted, unit = crop_pixels(uv, split).numpy(), errors.protocol.unit
    step, columns, parts = _SIDE + _GAP, len(KINDS), []
    for number, (kind, row) in enumerate(chosen):
        left, top = number % columns * step, number // columns * (step + _CAPTION)
        caption = f"{kind}, {errors.per_hand[row]:.1f} {unit}, id {errors.ids[row]}"
        parts.append(_hand(split, row, predicted[row], caption, left, top))
    height = -(-len(chosen) // columns) * (step + _CAPTION)
    label = f"{len(chosen)} hands of test with true and predicted skeletons: best, median, worst"
    return figure(min(len(chosen), columns) * step - _GAP, height, label, parts)


def shown_part(split: PackedSplit) -> tuple[int, int]:
    """Return the first pixel and the side of the square of every crop that is shown."""
    low = max(0, int((split.manifest.crop_px - _SHOWN * split.box_px) / 2))
    return low, split.manifest.crop_px - 2 * low


def _hand(
    split: PackedSplit, row: int, predicted: NDArray[np.float64], caption: str, left: int, top: int
) -> str:
    low, side = shown_part(split)
    true, valid = split.label("uv")[row], split.label("valid")[row]
    skeletons = [
        _skeleton((uv + 0.5 - low) * _SIDE / side, known, kind)
        for uv, known, kind in (
            (true, valid, "true"),
            (predicted, np.ones_like(valid), "predicted"),
        )
    ]
    picture = element("image", href=_jpeg(split, row), width=_SIDE, height=_SIDE)
    # A nested element clips joints that lie far outside of the crop.
    place = {"x": left, "y": top, "width": _SIDE, "height": _SIDE}
    inner = element("svg", "".join((picture, *skeletons)), **place, class_="hand")
    return inner + text(caption, left, top + _SIDE + 16, class_="tick")


def _skeleton(places: NDArray[np.float64], valid: NDArray[np.bool_], kind: str) -> str:
    ends = np.clip(places, -1e4, 1e4).tolist()
    drawn = ((*ends[a], *ends[b]) for a, b in BONES if valid[a] and valid[b])
    return "".join(line(x1, y1, x2, y2, f"skeleton {kind}") for x1, y1, x2, y2 in drawn)


def _jpeg(split: PackedSplit, row: int) -> str:
    """Return the shown part of a crop as a data URL of a small JPEG."""
    low, side = shown_part(split)
    image = split.crops(np.array([row]))[0].permute(1, 2, 0).cpu().numpy()
    part = image[low : low + side, low : low + side]
    way = cv2.INTER_AREA if side > _SIDE else cv2.INTER_CUBIC
    sized = cv2.resize(part, (_SIDE, _SIDE), interpolation=way)
    return jpeg_url(sized, _QUALITY)
