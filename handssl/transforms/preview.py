"""Draw a sheet of the transformations over their ranges, and of pairs of views with targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from handssl.data.contact_sheet import sheet_of_crops
from handssl.data.crops import CONTEXT, CROP_PX, crop_sample
from handssl.data.procedural import ProceduralReader, ProceduralSpec
from handssl.errors import InputError
from handssl.transforms.config import REGRESSABLE, AugmentConfig
from handssl.transforms.names import TRANSFORMATIONS
from handssl.transforms.preview_rows import STEPS, Strip, pair_strips, range_strips
from handssl.transforms.views import ViewMaker, denormalise
from handssl.transforms.warp import move_points, view_matrix

if TYPE_CHECKING:
    from handssl.data import PackedStore

Target = Callable[[str, torch.Tensor, torch.Tensor], torch.Tensor]
Image = NDArray[np.uint8]
_HEADING_PX, _MARGIN_PX, _LETTERS = 26, 10, 0.48
_BACKGROUND, _INK = (24, 26, 30), (255, 255, 255)


@dataclass(frozen=True)
class Hands:
    """Stored crops for a sheet of transformations.

    Attributes:
        crops: uint8 (N, 3, S, S), N at least 1.
        uv: Keypoints in crop pixels, (N, 21, 2); None without labels.
        valid: Whether each keypoint is labelled, bool (N, 21).
        context: Side of a crop in box sides.
    """

    crops: torch.Tensor
    uv: NDArray[np.float64] | None
    valid: NDArray[np.bool_]
    context: float


def transformation_sheet(
    hands: Hands,
    target: Target,
    *,
    config: AugmentConfig | None = None,
    names: Sequence[str] = TRANSFORMATIONS,
    with_pairs: bool = True,
    cell_px: int = 176,
    seed: int = 0,
) -> Image:
    """Draw every transformation over its range, then pairs of views with their relative targets.

    A row steps through one parameter, from low to high, after the view without it; the other
    parameters are the identity or, if there is none, drawn. Keypoints are shown after the
    transformation: they lie on the hand if image and keypoints use the same map.

    Args:
        hands: Crops to show.
        target: Function of (transformation, theta_a, theta_b), (B, k) each, that returns the
            relative target.
        config: Ranges and border; default: the documented ones.
        names: The transformations.
        with_pairs: Whether the pairs of views follow.
        cell_px: Side of a view on the sheet in pixels, at least 64.
        seed: Seed of the draws.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        InputError: There are no hands, or the cells are too small to read.
    """
    if len(hands.crops) == 0:
        raise InputError("expected at least one hand to show transformations on, got none.")
    if cell_px < 64:
        raise InputError(
            f"cell_px must be 64 or more, so that captions can be read, got {cell_px}."
        )
    config, count = config or AugmentConfig(), len(hands.crops)
    rows = [
        _draw(strip, hands, config, cell_px)
        for name in names
        for strip in range_strips(name, config, count, seed=seed)
    ]
    for name in [one for one in REGRESSABLE if with_pairs and one in names]:
        pairs = pair_strips(name, config, count, target, seed=seed)
        rows.append(np.hstack([_draw(pair, hands, config, cell_px) for pair in pairs]))
    width = max(row.shape[1] for row in rows)
    return np.vstack([_widened(row, width) for row in rows])


def _draw(strip: Strip, hands: Hands, config: AugmentConfig, cell_px: int) -> Image:
    """Draw one strip: a heading, then the views with captions."""
    rows = strip.rows
    matrix = view_matrix(strip.theta, torch.zeros(len(rows)))
    maker = ViewMaker(config, tuple(strip.theta), 0, cell_px, hands.context)
    views = maker.render(hands.crops[rows], strip.theta, matrix, strip.ids, key=1)
    uv, valid = _keypoints(hands, rows, matrix, cell_px), hands.valid[rows.numpy()]
    shown = valid & bool((matrix != matrix[:1]).any())
    images = _bytes(views)
    cells = sheet_of_crops(
        images, uv, shown, strip.captions, 1.0, columns=len(rows), cell_px=cell_px
    )
    return np.vstack([_heading(strip.heading, cells.shape[1]), cells])


def _keypoints(
    hands: Hands, rows: torch.Tensor, matrix: torch.Tensor, view_px: int
) -> NDArray[np.float64] | None:
    """Return keypoints in view pixels."""
    if hands.uv is None:
        return None
    side_px = hands.crops.shape[-1]
    boxes = ((hands.uv[rows.numpy()] + 0.5) / side_px - 0.5) * hands.context
    moved = move_points(torch.from_numpy(boxes), matrix.double())
    return ((moved + 0.5) * view_px - 0.5).numpy()


def _bytes(views: torch.Tensor) -> Image:
    """Undo the normalisation and return uint8 (B, P, P, 3)."""
    pixels = (denormalise(views) * 255.0).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


def _heading(text: str, width_px: int) -> Image:
    """Return a strip with one line of text, scaled down if it is too long."""
    strip = np.full((_HEADING_PX, width_px, 3), _BACKGROUND, dtype=np.uint8)
    font, room_px = cv2.FONT_HERSHEY_SIMPLEX, width_px - 2 * _MARGIN_PX
    (length_px, _), _ = cv2.getTextSize(text, font, _LETTERS, 1)
    size = _LETTERS * min(1.0, room_px / max(length_px, 1))
    cv2.putText(strip, text, (_MARGIN_PX, _HEADING_PX - 6), font, size, _INK, 1, cv2.LINE_AA)
    return strip


def _widened(row: Image, width_px: int) -> Image:
    if row.shape[1] == width_px:
        return row
    rest = np.full((len(row), width_px - row.shape[1], 3), _BACKGROUND, dtype=np.uint8)
    return np.hstack([row, rest])


__all__ = ["STEPS", "Hands", "transformation_sheet"]


def procedural_hands(seed: int) -> Hands:
    """Render a few hands, without any data.

    Args:
        seed: Seed of subjects and poses.
    """
    # With seed 4 the first hand is open, so that the motion of every finger is visible.
    spec = ProceduralSpec(pretrain=STEPS, probe=0, select=0, test=0, image_px=224, seed=4 + seed)
    reader = ProceduralReader(spec)
    packed = [crop_sample(reader[index], CROP_PX, CONTEXT) for index in range(STEPS)]
    crops = torch.from_numpy(np.stack([crop for crop, _ in packed])).permute(0, 3, 1, 2)
    uv, valid = (np.stack([row[key] for _, row in packed]) for key in ("uv", "valid"))
    return Hands(crops.contiguous(), uv, valid, CONTEXT)


def stored_hands(store: PackedStore, split: str, seed: int) -> Hands:
    """Return a few hands of a store.

    Args:
        store: The store.
        split: One of its splits.
        seed: Seed of the choice.

    Raises:
        InputError: The store has no such split.
    """
    packed = store.split(split)  # type: ignore[arg-type]  # it reports an unknown split
    chosen = np.sort(np.random.default_rng(seed).permutation(len(packed))[:STEPS])
    uv = packed.label("uv")[chosen].astype(np.float64) if store.manifest.labelled else None
    return Hands(packed.crops(chosen), uv, packed.label("valid")[chosen], store.manifest.context)
