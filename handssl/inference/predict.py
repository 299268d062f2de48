"""Predict the pose of a hand in a photo: crop, encode, read out, and go back to the photo.

With (c, b) centre and side of the crop box in the photo, a joint at uv box sides from the centre is
at the pixel c + b uv. With the camera K, the bone's length s and the relative depths z it is at
(s z + Z) K^-1 (u, v, 1), Z the depth of the wrist (see `handssl.pose.pose25d`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.data.crops import crop_sample
from handssl.data.mirroring import mirrored
from handssl.data.sample import Sample
from handssl.errors import InputError
from handssl.evaluation.kept_probe import TypicalHand
from handssl.evaluation.targets import from_columns
from handssl.inference.hand_pose import HandPose
from handssl.inference.model import HandModel
from handssl.inference.photo import Photo
from handssl.pose import ROOT, decode_2_5d, recover_root_depth

Floats = NDArray[np.float64]
BATCH = 32
_PLAUSIBLE = 2.0
"""A recovered depth of the wrist counts if it is within this factor of the typical one."""


def predict_photos(
    model: HandModel, photos: Iterable[Photo], *, batch: int = BATCH
) -> Iterator[HandPose]:
    """Predict the hand of every photo.

    Args:
        model: The model.
        photos: The photos; only those of one batch are in memory.
        batch: Number of photos encoded at once.

    Yields:
        One pose per photo, in order.

    Raises:
        InputError: The model and a photo lack the size of the hand.
    """
    iterator = iter(photos)
    while chunk := [_Placed.of(one, model) for one in itertools.islice(iterator, batch)]:
        columns = model.columns(views_of(model, chunk))
        uv, z = (part.numpy() for part in from_columns(columns))
        for number, placed in enumerate(chunk):
            yield placed.pose(uv[number], z[number])


def features_of(model: HandModel, photos: Sequence[Photo]) -> torch.Tensor:
    """Return the features of photos, float32 (N, dim), from the same crops as predictions."""
    return model.features(views_of(model, [_Placed.of(one, model) for one in photos]))


def views_of(model: HandModel, placed: Sequence[_Placed]) -> torch.Tensor:
    """Return the normalised views (N, 3, P, P) of placed photos."""
    facts = model.facts
    crops = [crop_sample(one.sample, facts.crop_px, facts.context)[0] for one in placed]
    stacked = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return model.views(stacked)


@dataclass(frozen=True, eq=False)
class _Placed:
    """A photo with its crop box, camera and size of the hand; left hands are mirrored.

    Attributes:
        photo: The photo.
        sample: Its image, mirrored for a left hand, with the crop box.
        box: Centre x, centre y and side of the crop box in pixels of that image.
        camera: Pinhole matrix of that image.
        hand: The typical hand of the model.
        bone_mm: Length of the bone.
        assumed: What was assumed.
    """

    photo: Photo
    sample: Sample
    box: tuple[float, float, float]
    camera: Floats
    hand: TypicalHand
    bone_mm: float
    assumed: tuple[str, ...]

    @classmethod
    def of(cls, photo: Photo, model: HandModel) -> _Placed:
        """Place a photo, and state what is assumed about it."""
        hand = model.facts.hand
        box, box_note = _box(photo, hand)
        camera, camera_note = _camera(photo, hand, box)
        bone_mm, bone_note = _bone(photo, hand, model.card.name)
        sample = Sample(photo.image, 0, 0, photo.name, camera=camera, box=box, side=photo.side)
        if photo.side == "left":
            sample = mirrored(sample)
            assert sample.box is not None and sample.camera is not None  # noqa: S101
            box, camera = sample.box, sample.camera
        side_note = "" if photo.side == "right" else "side: left, predicted on the mirror image"
        notes = (*photo.notes, box_note, side_note, camera_note, bone_note)
        assumed = tuple(one for one in notes if one)
        return cls(photo, sample, box, camera, hand, bone_mm, assumed)

    def pose(self, uv: Floats, z: Floats) -> HandPose:
        """Return the pose in the photo for uv (21, 2) in box sides and z (21,)."""
        x, y, side_px = self.box
        pixels = np.array([x, y]) + side_px * uv
        z = z.copy()
        z[ROOT] = 0.0
        depth, depth_note = self._root_depth(pixels, z, side_px)
        distance = depth * self.bone_mm
        xyz = decode_2_5d(pixels, z, self.camera, scale=self.bone_mm, root_depth=distance)
        found = HandPose(
            photo=self.photo,
            box=self.box,
            camera=self.camera,
            uv=pixels,
            z=z,
            xyz_mm=xyz - xyz[ROOT],
            root_depth_mm=distance,
            bone_mm=self.bone_mm,
            assumptions=(*self.assumed, *([depth_note] if depth_note else [])),
        )
        return _unmirrored(found) if self.photo.side == "left" else found

    def _root_depth(self, pixels: Floats, z: Floats, side_px: float) -> tuple[float, str]:
        """Return the depth of the wrist in bone lengths, and what was assumed."""
        focal_px = float(np.sqrt(abs(np.linalg.det(self.camera[:2, :2]))))
        typical = self.hand.box_bones * focal_px / side_px
        depth, well_posed = recover_root_depth(pixels, z, self.camera)
        if well_posed and typical / _PLAUSIBLE <= depth <= typical * _PLAUSIBLE:
            return float(depth), ""
        return typical, (
            "depth of the wrist: from the size of the box, as the predicted pose gives none that "
            "is plausible"
        )


def _box(photo: Photo, hand: TypicalHand) -> tuple[tuple[float, float, float], str]:
    """Return (centre x, centre y, side) of the crop box in pixels."""
    if photo.box is not None:
        x, y, width, height = photo.box
        # Edges lie between pixels; coordinates count from the centre of the first pixel.
        centre = (x + width / 2 - 0.5, y + height / 2 - 0.5)
        return (*centre, hand.margin * max(width, height)), ""
    rows, columns = photo.image.shape[:2]
    side_px = float(min(rows, columns))
    note = "the whole image" if rows == columns else "the largest central square of the image"
    centre = ((columns - 1) / 2, (rows - 1) / 2)
    return (*centre, side_px), f"box: {note}, {side_px:.0f} px; give --box x,y,w,h"


def _camera(photo: Photo, hand: TypicalHand, box: tuple[float, float, float]) -> tuple[Floats, str]:
    if photo.camera is not None:
        fx, fy, cx, cy = photo.camera
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), ""
    x, y, side_px = box
    focal = hand.focal * side_px
    camera = np.array([[focal, 0, x], [0, focal, y], [0, 0, 1.0]])
    return camera, (
        f"camera: looks at the centre of the box, focal length {focal:.0f} px "
        f"({hand.focal:.2f} box sides, as in the data of the model); give --camera fx,fy,cx,cy"
    )


def _bone(photo: Photo, hand: TypicalHand, name: str) -> tuple[float, str]:
    if photo.bone_mm is not None:
        return photo.bone_mm, ""
    if hand.bone_mm is None:
        raise InputError(
            f"{photo.name}: the model {name} knows no size of a hand, which lengths in mm need; "
            "give the distance from wrist to middle knuckle, e.g. --bone 90"
        )
    return hand.bone_mm, (
        f"hand size: wrist to middle knuckle {hand.bone_mm:.1f} mm, the median of the data of the "
        "model; give --bone MM"
    )


def _unmirrored(pose: HandPose) -> HandPose:
    """Return the pose of a mirrored photo in the photo itself."""
    last = pose.photo.image.shape[1] - 1
    x, y, side_px = pose.box
    flip = np.diag([-1.0, 1.0, 1.0])
    camera = np.array([[-1.0, 0, last], [0, 1, 0], [0, 0, 1]]) @ pose.camera @ flip
    return replace(
        pose,
        box=(last - x, y, side_px),
        camera=camera,
        uv=np.array([last, 0.0]) + pose.uv * [-1.0, 1.0],
        xyz_mm=pose.xyz_mm @ flip,
    )
