"""Which data a study runs on: procedural hands, or packed stores by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from handssl.config import Config
from handssl.data.procedural import ProceduralSpec

Count = Annotated[int, Field(ge=16, le=10_000_000)]
Prefix = Annotated[str, Field(pattern=r"^[0-9a-f]{8,32}$")]
StoreName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,63}$", examples=["freihand", "interhand", "npz"])
]


class ProceduralData(Config):
    """Procedural hands, rendered when they are first needed.

    Attributes:
        name: The dataset.
        pretrain: Images without labels.
        probe: Labelled images the probe is fitted on.
        select: Labelled images every choice is made on.
        test: Labelled images that are only reported.
        image_px: Side of the rendered images.
        crop_px: Side of the stored crops.
        context: Side of a stored crop in box sides.
        level: `cone` of views around the palm, back and side, or `hard`: any view.
        seed: Of subjects, poses, lights and backgrounds.
    """

    name: Literal["procedural"] = "procedural"
    pretrain: Count = 2048
    probe: Count = 1024
    select: Count = 512
    test: Count = 512
    image_px: Annotated[int, Field(ge=64, le=512)] = 112
    crop_px: Annotated[int, Field(ge=32, le=512)] = 112
    context: Annotated[float, Field(ge=1.0, le=3.0)] = 1.75
    level: Literal["cone", "hard"] = "cone"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    def procedural(self) -> ProceduralSpec:
        """Return what the procedural writer is asked for."""
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
    """A store whose images are pretrained on, labelled or not.

    Attributes:
        name: Of the dataset it was packed from.
        fingerprint: Of the store, at least its first eight characters; needed where several
            stores have that name.
    """

    name: Literal["freihand", "interhand", "npz", "folder"]
    fingerprint: Prefix | None = None


class PackedData(Config):
    """A packed store, found by name and fingerprint; a study never names a path.

    Attributes:
        name: Of the dataset it was packed from.
        fingerprint: Of the store, at least its first eight characters; needed where several
            stores have that name.
        pretrain: Another store whose images are pretrained on; default: the store's own.
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
"""Either; told apart by `name`, without which it is procedural."""
