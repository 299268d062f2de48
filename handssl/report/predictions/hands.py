"""Figure of single hands: best, median and worst, with true and predicted skeletons."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.store import PackedSplit
from handssl.evaluation.probe import crop_pixels
from handssl.evaluation.targets import from_columns
from handssl.pose.skeleton import BONES
from handssl.report.figures.svg import element, figure, line, text
from handssl.report.predictions.cells import PredictedCell

OF_EACH = 2
_SIDE, _GAP, _CAPTION = 150, 10, 20
_JPEG_PX, _QUALITY = 150, 78


def chosen_hands(cell: PredictedCell, of_each: int = OF_EACH) -> list[tuple[str, int]]:
    """Return the hands of the cell's first seed by their mean error: best, median and worst.

    Args:
        cell: The cell.
        of_each: Number of hands of each kind.

    Returns:
        (kind, position in the split), each hand once.
    """
    ranked = cell.errors[0].ranked.tolist()
    middle = max(0, (len(ranked) - of_each) // 2)
    wanted = {
        "best": ranked[:of_each],
        "median": ranked[middle : middle + of_each],
        "worst": ranked[::-1][:of_each],
    }
    seen: dict[int, str] = {}
    for kind, rows in wanted.items():
        for row in rows:
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
    predicted = crop_pixels(uv, split).numpy()
    parts, per_row = [], 2 * OF_EACH
    for number, (kind, row) in enumerate(chosen):
        left = number % per_row * (_SIDE + _GAP)
        top = number // per_row * (_SIDE + _CAPTION + _GAP)
        caption = f"{kind}, {errors.per_hand[row]:.1f} {errors.protocol.unit}, id {errors.ids[row]}"
        parts.append(_hand(split, row, predicted[row], caption, left, top))
    rows = -(-len(chosen) // per_row)
    width = min(len(chosen), per_row) * (_SIDE + _GAP) - _GAP
    label = f"{len(chosen)} hands of test with true and predicted skeletons, best to worst"
    return figure(width, rows * (_SIDE + _CAPTION + _GAP), label, parts)


def _hand(
    split: PackedSplit, row: int, predicted: NDArray[np.float64], caption: str, left: int, top: int
) -> str:
    scale = _SIDE / split.manifest.crop_px
    valid = split.label("valid")[row]
    true = _skeleton(split.label("uv")[row], valid, scale, "true")
    guess = _skeleton(predicted, np.ones_like(valid), scale, "predicted")
    picture = element(
        "image", href=_jpeg(split, row), width=_SIDE, height=_SIDE, preserveAspectRatio="none"
    )
    # A nested element clips joints that lie far outside of the crop.
    inner = element(
        "svg",
        picture + true + guess,
        x=left,
        y=top,
        width=_SIDE,
        height=_SIDE,
        viewBox=f"0 0 {_SIDE} {_SIDE}",
        class_="hand",
    )
    return inner + text(caption, left, top + _SIDE + 14, class_="tick")


def _skeleton(uv: NDArray[np.float64], valid: NDArray[np.bool_], scale: float, kind: str) -> str:
    places = np.clip((uv + 0.5) * scale, -1e4, 1e4).tolist()
    drawn = [(a, b) for a, b in BONES if valid[a] and valid[b]]
    ends = ((*places[a], *places[b]) for a, b in drawn)
    return "".join(line(x1, y1, x2, y2, f"skeleton {kind}") for x1, y1, x2, y2 in ends)


def _jpeg(split: PackedSplit, row: int) -> str:
    """Return a small JPEG of a crop as a data URL."""
    image = split.crops(np.array([row]))[0].permute(1, 2, 0).cpu().numpy()
    small = cv2.resize(image, (_JPEG_PX, _JPEG_PX), interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
