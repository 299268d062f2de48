"""Specification of a procedural InterHand2.6M tree."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from handssl.config import Config
from handssl.data.readers.interhand.layout import Released

# Increment it when the same spec starts to produce other images or labels.
GENERATOR_VERSION = 3
Few = Annotated[int, Field(ge=0, le=100)]
Side = Annotated[int, Field(ge=48, le=1024)]


class InterhandTreeSpec(Config):
    """Specification of a procedural InterHand2.6M tree, which determines it to the last bit.

    Frames alternate between a right hand, a left hand and both; every fourth has some joints
    without labels, every eighth has no wrist.

    Attributes:
        train: Number of captures of the released split; also for val and test. 0 omits the split.
        frames: Number of frames of every capture.
        colour: Number of colour cameras (400xxx) of every capture; `grey` is that of grey ones
            (410xxx).
        image_px: (width, height) of the landscape cameras in pixels; every other one is portrait.
        layout: The tree of `v1.0` or the `older` one.
        seed: Seed of all random draws.
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
        """Return the number of captures of a released split."""
        return int(getattr(self, released))
