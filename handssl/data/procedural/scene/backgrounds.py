"""Backgrounds with straight edges: rooms, tables, shelves, textures, clutter, writing, people."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import draw
from handssl.data.procedural.scene.colours import draw_surfaces
from handssl.data.procedural.scene.light import Light
from handssl.data.procedural.scene.people import add_people

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

_OVERSAMPLING = 2
_SUBPIXEL_BITS = 4
_TILE_PX = 96
_COLOURS = 24


class Brush:
    """Draws one background: its canvas, its colours and its source of randomness.

    Attributes:
        rng: Source of randomness.
        canvas: Linear RGB, float32 (P, P, 3); positions and sizes are in sides of it.
    """

    def __init__(self, rng: np.random.Generator, side: int) -> None:
        self.rng, self.canvas = rng, np.empty((side, side, 3), dtype=np.float32)
        self._colours = draw_surfaces(rng, _COLOURS)
        self.canvas[:] = self.colour()

    def colour(self) -> Floats:
        """Draw a colour of the scene, linear RGB, (3,)."""
        return np.asarray(self._colours[self.rng.integers(_COLOURS)])

    def fill(self, corners: Floats, colour: Floats) -> None:
        """Fill a convex polygon, (K, 2)."""
        points = (corners * (len(self.canvas) << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillConvexPoly(self.canvas, points, colour.tolist(), 8, _SUBPIXEL_BITS)

    def lay(self, tile: Image, corners: Floats) -> None:
        """Lay a flat picture over a quadrilateral in perspective."""
        edge, side = len(tile) - 1, len(self.canvas)
        flat = np.array([(0, 0), (edge, 0), (edge, edge), (0, edge)], dtype=np.float32)
        matrix = cv2.getPerspectiveTransform(flat, (corners * side).astype(np.float32))
        cv2.warpPerspective(
            tile, matrix, (side, side), dst=self.canvas, borderMode=cv2.BORDER_TRANSPARENT
        )

    def roll(self) -> float:
        """Draw the roll of the camera or of a thing that stands upright, radians."""
        return float(self.rng.normal(0.0, 0.12))


Painter = Callable[[Brush], None]


def draw_background(rng: np.random.Generator, image_px: int, light: Light, skin: Floats) -> Image:
    """Draw a background.

    A room, a table, a shelf, a texture or a heap of things is drawn at twice the resolution, with
    more things, writing and people on it; then uneven light and the blur of its distance.

    Args:
        rng: Source of randomness.
        image_px: Side of the image in pixels.
        light: The light of the scene.
        skin: Skin of the hand, CIE L*, a*, b*, (3,), for people in the background.

    Returns:
        Linear radiance, float32 (image_px, image_px, 3).
    """
    brush = Brush(rng, image_px * _OVERSAMPLING)
    SCENES[list(SCENES)[rng.integers(len(SCENES))]](brush)
    for _ in range(rng.integers(0, 6)):
        _THINGS[rng.integers(len(_THINGS))](brush)
    small = cv2.resize(brush.canvas, (image_px, image_px), interpolation=cv2.INTER_AREA)
    small *= _uneven_light(rng, image_px)[..., None] * light.colour.astype(np.float32)
    add_people(rng, small, light, skin)
    blur_px = draw("background_blur", rng) / 100.0 * image_px
    blurred = small if blur_px < 0.3 else cv2.GaussianBlur(small, (0, 0), blur_px)
    return np.asarray(blurred, dtype=np.float32)


def _uneven_light(rng: np.random.Generator, side: int) -> Image:
    grid = np.exp(rng.normal(0.0, 0.18, (4, 4)) + rng.normal(-0.35, 0.35)).astype(np.float32)
    smooth = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth.clip(0.05, 2.0), dtype=np.float32)


def _quad(x: float, y: float, width: float, height: float, turn: float) -> Floats:
    """Return the corners of a turned rectangle around (x, y), (4, 2)."""
    cos, sin = math.cos(turn) / 2.0, math.sin(turn) / 2.0
    ax, ay, bx, by = width * cos, width * sin, -height * sin, height * cos
    return np.array(
        (
            (x - ax - bx, y - ay - by),
            (x + ax - bx, y + ay - by),
            (x + ax + bx, y + ay + by),
            (x - ax + bx, y - ay + by),
        )
    )


def _room(brush: Brush) -> None:
    """Two walls and a floor, with frames of windows, doors and pictures."""
    corner, horizon, drop = brush.rng.uniform((-0.2, 0.35, -0.3), (1.2, 1.1, 0.3)).tolist()
    lean = brush.roll()
    left = [(-1, -1), (corner + lean, -1), (corner - lean, horizon), (-1, horizon + drop)]
    brush.fill(np.array(left), brush.colour())
    floor = brush.colour()
    edge = (corner - lean, horizon)
    brush.fill(np.array([(-1, horizon + drop), edge, edge, (edge[0], 3), (-1, 3)]), floor)
    brush.fill(np.array([edge, (2, horizon - drop), (2, 3), (edge[0], 3)]), floor)
    for _ in range(brush.rng.integers(1, 5)):
        _frame(brush)


def _frame(brush: Brush) -> None:
    """A window, door, screen or picture: nested rectangles with bars."""
    x, y, width, height, inset = brush.rng.uniform((0, 0, 0.15, 0.15, 0.75), (1, 1, 0.8, 0.8, 0.95))
    turn, inner = brush.roll(), brush.colour()
    brush.fill(_quad(x, y, width, height, turn), brush.colour())
    brush.fill(_quad(x, y, width * inset, height * inset, turn), inner)
    if brush.rng.random() < 0.5:
        bar = inner * brush.rng.uniform(0.2, 0.8)
        brush.fill(_quad(x, y, 0.04 * width, 0.9 * height, turn), bar)
        brush.fill(_quad(x, y, 0.9 * width, 0.04 * height, turn), bar)


def _table(brush: Brush) -> None:
    """A plane seen at an angle, with planks, tiles or checks, and what is behind it."""
    _room(brush)
    edge, spread = brush.rng.uniform((-0.2, 0.3), (0.7, 1.5))
    lean = brush.roll()
    corners = [(-0.1, edge - lean), (1.1, edge + lean), (1.1 + spread, 1.3), (-0.1 - spread, 1.3)]
    brush.lay(_tile(brush), np.array(corners))


def _wall(brush: Brush) -> None:
    """A texture over the whole image: bricks, tiles, stripes or cloth."""
    width, height, turn = brush.rng.uniform((1.6, 1.6, 0.0), (2.6, 2.6, np.pi))
    corners = _quad(0.5, 0.5, width, height, turn)
    brush.lay(_tile(brush), corners + brush.rng.normal(0.0, 0.15, (4, 2)))


def _tile(brush: Brush) -> Image:
    """Draw a flat pattern of straight lines, float32 (T, T, 3)."""
    rng = brush.rng
    rows, columns = rng.integers(1, 14, 2).tolist()
    ground = brush.colour().astype(np.float32)
    cells = ground * np.exp(rng.normal(0.0, 0.12, (rows, columns, 1))).astype(np.float32)
    if rng.random() < 0.5:  # checks or stripes
        cells[:: 2 if rng.random() < 0.5 else 1, ::2] = brush.colour()
    tile = cv2.resize(cells, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_NEAREST)
    joint = int(rng.integers(0, 4))
    if joint:  # bricks, tiles or planks
        line = brush.colour()
        height = _TILE_PX // rows
        for row in range(rows):
            tile[row * height : row * height + joint] = line
        for row in range(rows + 1):
            shift = (_TILE_PX // columns // 2) * (row % 2)
            for column in range(columns):
                at = column * _TILE_PX // columns + shift
                tile[row * height : (row + 1) * height, at : at + joint] = line
    return np.asarray(tile)


def _shelf(brush: Brush) -> None:
    """Boards with books or boxes of many widths."""
    rng, side = brush.rng, _TILE_PX * 2
    picture = np.empty((side, side, 3), dtype=np.float32)
    picture[:] = brush.colour() * 0.5
    board = brush.colour()
    height = side // int(rng.integers(1, 6))
    for foot in range(height, side + height, height):
        at = 0
        while at < side:
            width = int(rng.integers(3, 16))
            top = foot - int(height * rng.uniform(0.5, 0.9))
            picture[max(top, 0) : foot, at : at + width] = brush.colour()
            if width > 5:
                label = (top + foot) // 2
                picture[max(label, 0) : label + 4, at + 1 : at + width - 1] = brush.colour()
            at += width + int(rng.integers(0, 8)) // 4 * int(rng.integers(1, 9))
        picture[foot - 3 : foot + 2] = board
    size = rng.uniform(1.2, 2.0)
    corners = _quad(0.5, 0.5, size, size, brush.roll())
    brush.lay(picture, corners + rng.normal(0.0, 0.06, (4, 2)))


def _heap(brush: Brush) -> None:
    """Dead leaves: boxes, discs and bars of power-law sizes, one over another."""
    for _ in range(brush.rng.integers(15, 40)):
        _LEAVES[brush.rng.integers(len(_LEAVES))](brush)


def _power_size(brush: Brush) -> float:
    return float(min(0.6, 0.06 / brush.rng.random() ** 0.7))


def _box(brush: Brush) -> None:
    """A box with a lit and two shadowed faces."""
    x, y, width, height, turn, dx, dy = brush.rng.uniform(
        (0.0, 0.0, 0.3, 0.3, 0.0, -0.4, -0.4), (1.0, 1.0, 1.0, 1.0, np.pi, 0.4, 0.4)
    )
    size, colour = _power_size(brush), brush.colour()
    front = _quad(x, y, width * size, height * size, turn)
    back = front + np.array((dx, dy)) * size * min(width, height)
    # The silhouette of a sheared box is the hull of both faces.
    brush.fill(cv2.convexHull(np.concatenate((front, back)).astype(np.float32))[:, 0], colour * 0.5)
    brush.fill(front, colour)


def _disc(brush: Brush) -> None:
    """A plate, cup or ball: nested ellipses."""
    side, rng = len(brush.canvas), brush.rng
    radius, colour = _power_size(brush) * side, brush.colour()
    x, y, flat, turn, shade = rng.uniform((0, 0, 0.5, 0, 0.6), (side, side, 1, 180, 1.2)).tolist()
    cv2.ellipse(brush.canvas, ((x, y), (radius, radius * flat), turn), colour.tolist(), -1)
    inner = (0.8 * radius, 0.8 * radius * flat)
    cv2.ellipse(brush.canvas, ((x, y), inner, turn), (colour * shade).clip(0, 1).tolist(), -1)


def _bar(brush: Brush) -> None:
    """A cable, stick, edge or strip across the image."""
    x, y, length, width, turn = brush.rng.uniform(
        (0.0, 0.0, 0.3, 0.005, 0.0), (1.0, 1.0, 2.0, 0.045, np.pi)
    )
    brush.fill(_quad(x, y, length, width, turn), brush.colour())


def _page(brush: Brush) -> None:
    """A page, screen or label with lines of words."""
    rng = brush.rng
    paper = np.empty((_TILE_PX, _TILE_PX, 3), dtype=np.float32)
    paper[:] = 1.0 - 0.3 * brush.colour() if rng.random() < 0.7 else brush.colour()
    ink, height = brush.colour() * 0.5, int(rng.integers(2, 7))
    words = rng.integers(height, 5 * height, _TILE_PX)
    word = 0
    for row in range(8, _TILE_PX - 8, 2 * height):
        at = 6
        while at < _TILE_PX - 12:
            paper[row : row + height, at : min(at + words[word], _TILE_PX - 6)] = ink
            at += words[word] + height
            word = (word + 1) % len(words)
    x, y, width, length, turn = rng.uniform((0, 0, 0.2, 0.2, -0.6), (1, 1, 0.6, 0.6, 0.6))
    brush.lay(paper, _quad(x, y, width, length, turn) + rng.normal(0.0, 0.02, (4, 2)))


_LEAVES: tuple[Painter, ...] = (_box, _box, _disc, _bar)
_THINGS: tuple[Painter, ...] = (_box, _disc, _bar, _page, _frame)
SCENES: dict[str, Painter] = {
    "room": _room,
    "table": _table,
    "wall": _wall,
    "shelf": _shelf,
    "heap": _heap,
}
