"""What determines a procedural InterHand2.6M tree."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from handssl.config import Config
from handssl.data.interhand.layout import Released

# Raise it when the same spec starts to give other images or labels.
GENERATOR_VERSION = 1
Few = Annotated[int, Field(ge=0, le=100)]
Side = Annotated[int, Field(ge=48, le=1024)]


class InterhandTreeSpec(Config):
    """What determines a procedural InterHand2.6M tree, to the last bit.

    Frames are of a right hand, a left hand and both, in turn; every fourth has some joints without
    labels, every eighth has no wrist.

    Attributes:
        train: Captures of the released split; likewise val, test. 0 leaves the split out.
        frames: Of every capture.
        colour: Colour cameras (400xxx) around every capture; likewise grey ones (410xxx).
        image_px: (width, height) of the landscape cameras; every other one is portrait.
        layout: The tree of `v1.0` or the `older` one.
        seed: Of everything drawn.
    """

    train: Few = 2
    val: Few = 1
    test: Few = 1
    frames: Annotated[int, Field(ge=1, le=10_000)] = 6
    colour: Annotated[int, Field(ge=1, le=100)] = 2
    grey: Few = 1
    image_px: tuple[Side, Side] = (256, 167)
    layout: Literal["v1.0", "older"] = "v1.0"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @property
    def fingerprint(self) -> str:
        """Hash of the spec and the generator's version, 32 hex characters."""
        text = f"interhand tree {GENERATOR_VERSION} {self.model_dump_json()}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def captures(self, released: Released) -> int:
        """Return the captures of a released split."""
        return int(getattr(self, released))
