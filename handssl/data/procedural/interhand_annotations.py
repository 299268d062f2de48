"""Contents of the annotation files of a procedural InterHand2.6M tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.interhand_scenes import (
    FIRST_FRAME,
    FRAME_STEP,
    View,
    WorldFrame,
    make_frame,
    make_views,
)
from handssl.data.procedural.interhand_spec import InterhandTreeSpec
from handssl.data.readers.interhand.layout import Released
from handssl.randomness import permutation

Json = dict[str, Any]

SEQUENCE = "0000_procedural"
_BOX_MARGIN = 1.2


def file_name(capture: int, view: View, frame: int) -> str:
    """Return the path of an image relative to the folder of its split."""
    return f"Capture{capture}/{SEQUENCE}/cam{view.name}/image{frame_number(frame)}.jpg"


def frame_number(frame: int) -> int:
    """Return the number of a frame in the official numbering style."""
    return FIRST_FRAME + FRAME_STEP * frame


def annotate(spec: InterhandTreeSpec, released: Released) -> dict[str, Json]:
    """Return the contents of the `data`, `camera` and `joint_3d` files of a split.

    Images are ordered by id, annotations are not, as in the official files.
    """
    images: list[Json] = []
    annotations: list[Json] = []
    cameras: Json = {}
    frames: Json = {}
    for capture in range(spec.captures(released)):
        views = make_views(spec, released, capture)
        cameras[str(capture)] = _camera_entry(views)
        frames[str(capture)] = {}
        for frame in range(spec.frames):
            world = make_frame(spec, released, capture, frame)
            frames[str(capture)][str(frame_number(frame))] = _frame_entry(world)
            for view in views:
                images.append(_image_entry(len(images), capture, view, frame))
                annotations.append(_annotation_entry(images[-1]["id"], world, view))
    order = permutation(len(annotations), "interhand annotations", spec.seed, released)
    shuffled = [annotations[i] | {"id": number} for number, i in enumerate(order.tolist())]
    data = {"images": images, "annotations": shuffled}
    return {"data": data, "camera": cameras, "joint_3d": frames}


def _camera_entry(views: list[View]) -> Json:
    return {
        "campos": {view.name: view.position_mm.tolist() for view in views},
        "camrot": {view.name: view.rotation.tolist() for view in views},
        "focal": {view.name: view.focal.tolist() for view in views},
        "princpt": {view.name: view.principal.tolist() for view in views},
    }


def _frame_entry(world: WorldFrame) -> Json:
    return {
        "world_coord": world.joints_mm.tolist(),
        "joint_valid": world.valid[:, None].astype(int).tolist(),
        "hand_type": world.hand_type,
        "hand_type_valid": True,
    }


def _image_entry(number: int, capture: int, view: View, frame: int) -> Json:
    return {
        "id": number,
        "file_name": file_name(capture, view, frame),
        "width": view.size_px[0],
        "height": view.size_px[1],
        "capture": capture,
        "subject": capture,
        "seq_name": SEQUENCE,
        "camera": view.name,
        "frame_idx": frame_number(frame),
    }


def _annotation_entry(image_id: int, world: WorldFrame, view: View) -> Json:
    return {
        "image_id": image_id,
        "bbox": _box(world, view),
        "joint_valid": world.valid[:, None].astype(int).tolist(),
        "hand_type": world.hand_type,
        "hand_type_valid": 1,
    }


def _box(world: WorldFrame, view: View) -> list[float]:
    """Return x, y, width, height of the box around the valid joints, enlarged by a fifth."""
    camera = (world.joints_mm[world.valid] - view.position_mm) @ view.rotation.T
    uv: NDArray[np.float64] = camera[:, :2] / camera[:, 2:] * view.focal + view.principal
    low, high = uv.min(axis=0), uv.max(axis=0)
    size = (high - low) * _BOX_MARGIN
    return [*((low + high - size) / 2.0).tolist(), *size.tolist()]
