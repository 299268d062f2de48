"""Data of a study: procedural hands, or packed stores by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from handssl.config import Config
from handssl.data.procedural import ProceduralSpec
from handssl.pose.crop_rules import CropRule

Count = Annotated[int, Field(ge=16, le=10_000_000)]
Prefix = Annotated[str, Field(pattern=r"^[0-9a-f]{8,32}$")]
StoreName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,63}$", examples=["freihand", "interhand", "npz"])
]


class ProceduralData(Config):
    """Procedural hands, rendered when they are first needed.

    Attributes:
        name: Name of the dataset.
        pretrain: Number of images without labels.
        probe: Number of labelled images for fitting the probe.
        select: Number of labelled images for model selection.
        test: Number of labelled images for the final report.
        image_px: Side of the rendered images in pixels.
        crop_px: Side of the stored crops in pixels; crop_px / context, the pixels of a box, must
            not be fewer than a network takes.
        context: Side of a stored crop in box sides.
        crop: Box around the joints: `published`, 2 x 1.25 times the largest distance of a joint
            from their mean, or `extent`, 1.25 times the larger edge of their bounding box.
        level: `cone`: the hand is seen across the arm, from any side and at any angle in the image;
            `hard`: any view, also along the arm.
        seed: Seed of subjects, poses, lights and backgrounds.
    """

    name: Literal["procedural"] = "procedural"
    pretrain: Count = 2048
    probe: Count = 1024
    select: Count = 512
    test: Count = 512
    image_px: Annotated[int, Field(ge=64, le=1024)] = 224
    crop_px: Annotated[int, Field(ge=32, le=1024)] = 224
    context: Annotated[float, Field(ge=1.0, le=3.0)] = 1.75
    crop: CropRule = "published"
    level: Literal["cone", "hard"] = "cone"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    def procedural(self) -> ProceduralSpec:
        """Return the specification for the procedural writer."""
        return ProceduralSpec(
            pretrain=self.pretrain,
            probe=self.probe,
            select=self.select,
            test=self.test,
            image_px=self.image_px,
            context=self.context,
            level=self.level,
            seed=self.seed,
        )


class Pretraining(Config):
    """A store whose images, labelled or not, are used for pretraining.

    Attributes:
        name: Name of the dataset that the store was packed from.
        fingerprint: Fingerprint of the store, at least its first eight characters; required if
            several stores have that name.
    """

    name: Literal["freihand", "interhand", "npz", "folder"]
    fingerprint: Prefix | None = None


class PackedData(Config):
    """A packed store, found by name and fingerprint; a study never contains a path.

    Attributes:
        name: Name of the dataset that the store was packed from.
        fingerprint: Fingerprint of the store, at least its first eight characters; required if
            several stores have that name.
        pretrain: Another store for pretraining; default: the images of this store.
    """

    name: StoreName
    fingerprint: Prefix | None = None
    pretrain: Pretraining | None = None


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        name = value.get("name", "procedural")
    else:
        name = getattr(value, "name", "procedural")
    return "procedural" if name == "procedural" else "packed"


DataConfig = Annotated[
    Annotated[ProceduralData, Tag("procedural")] | Annotated[PackedData, Tag("packed")],
    Discriminator(_kind),
]
"""Procedural or packed data, distinguished by `name`; without a name it is procedural."""
