"""Render the view of one camera of a procedural capture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.interhand_scenes import View, WorldFrame
from handssl.data.procedural.scene.backgrounds import draw_background
from handssl.data.procedural.scene.photography import develop
from handssl.data.procedural.scene.rendering import Figure, render

# The official background is a dark room, exposed for the hands.
_STUDIO, _METERED = np.float32(0.03), 0.05


def draw_image(world: WorldFrame, view: View, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Render the view of a frame by one camera.

    Args:
        world: Hands and light.
        view: The camera.
        rng: Source of randomness for background and noise.

    Returns:
        uint8 (height, width, 3), RGB; for a grey camera with three equal channels.
    """
    width, height = view.size_px
    side = max(width, height)
    vertices = (world.vertices_mm - view.position_mm) @ view.rotation.T / 1000.0
    (fx, fy), (cx, cy) = view.focal, view.principal
    camera = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    light = replace(world.light, direction=view.rotation @ world.light.direction)
    figures = [
        Figure(hand, subject, mirrored)
        for hand, (subject, mirrored) in zip(
            np.split(vertices, len(world.hands)), world.hands, strict=True
        )
    ]
    layer = render(figures, (), camera, light, image_px=side)
    scene = _STUDIO * draw_background(rng, side, light, world.hands[0][0].skin)
    scene = scene * (1.0 - layer.coverage) + layer.colour
    # The renderer draws squares; the image is cropped to the camera's size.
    image = develop(rng, np.ascontiguousarray(scene[:height, :width]), light, _METERED)
    if view.grey:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return image
