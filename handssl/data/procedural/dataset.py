"""Dataset of procedural hands: a sample is a pure function of its index, in any process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from handssl.config import Config
from handssl.data.procedural.articulation import bend
from handssl.data.procedural.cameras import draw_view, frame
from handssl.data.procedural.poses import draw_pose
from handssl.data.procedural.scene.backgrounds import draw_background
from handssl.data.procedural.scene.light import Light, draw_light
from handssl.data.procedural.scene.photography import develop
from handssl.data.procedural.scene.primitives import Primitive
from handssl.data.procedural.scene.props import draw_props
from handssl.data.procedural.scene.rendering import Figure, Layer, render
from handssl.data.procedural.subjects import draw_subject, subject_numbers
from handssl.data.sample import SPLITS, Sample, Split
from handssl.errors import InputError
from handssl.randomness import numpy_generator

# Increment it when the same spec starts to produce other images or labels.
GENERATOR_VERSION = 3

Count = Annotated[int, Field(ge=0, le=10_000_000)]


class ProceduralSpec(Config):
    """Specification of a set of procedural hands, which determines it to the last bit.

    Attributes:
        pretrain: Number of unique hands of the split; also for probe, select and test.
        versions: Number of backgrounds of every unique hand; versions differ in nothing else.
        image_px: Side of the square images in pixels.
        context: Side of the image in box sides, so that a crop of that size stays inside.
        level: `cone`: the hand is seen across the arm, from any side and at any angle in the image;
            `hard`: any view, also along the arm.
        seed: Seed of all random draws.
        evaluation: Number of hands of a second test set, one background each.
    """

    pretrain: Count = 2048
    probe: Count = 1024
    select: Count = 512
    test: Count = 512
    versions: Annotated[int, Field(ge=1, le=4)] = 1
    image_px: Annotated[int, Field(ge=48, le=1024)] = 112
    context: Annotated[float, Field(ge=1.0, le=4.0)] = 1.75
    level: Literal["cone", "hard"] = "cone"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    evaluation: Count = 0

    @property
    def fingerprint(self) -> str:
        """Hash of the spec and the generator's version, 32 hex characters."""
        text = f"procedural {GENERATOR_VERSION} {self.model_dump_json()}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits of a set, with `evaluation` only if it has any images."""
        return (*SPLITS, "evaluation") if self.evaluation else SPLITS

    @property
    def unique(self) -> int:
        """Number of unique hands over all splits except `evaluation`."""
        return sum(self.count(split) for split in SPLITS)

    @property
    def images(self) -> int:
        """Number of images over all splits."""
        return sum(self.count(split) * self.versions_of(split) for split in self.splits)

    def versions_of(self, split: Split) -> int:
        """Return the number of backgrounds per hand of a split."""
        return 1 if split == "evaluation" else self.versions

    def count(self, split: Split) -> int:
        """Return the number of unique hands of a split."""
        return int(getattr(self, split))

    def unique_ids(self, split: Split) -> range:
        """Return the contiguous unique ids of a split, in the order of `SPLITS`, evaluation last.

        Example:
            >>> ProceduralSpec(pretrain=3, probe=2).unique_ids("probe")
            range(3, 5)
        """
        before = SPLITS if split == "evaluation" else SPLITS[: SPLITS.index(split)]
        first = sum(self.count(name) for name in before)
        return range(first, first + self.count(split))


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand before rendering: subject, joints, mesh, camera and the things near it."""

    subject: int
    xyz: NDArray[np.float64]
    vertices: NDArray[np.float64]
    camera: NDArray[np.float64]
    props: tuple[Primitive, ...]


def make_hand(spec: ProceduralSpec, split: Split, index: int) -> Hand:
    """Draw subject, pose, camera and objects of a hand; equal for all its versions."""
    rng = numpy_generator("hand", spec.seed, split, index)
    numbers = subject_numbers(split)
    number = numbers[int(rng.integers(len(numbers)))]
    vertices, joints = bend(draw_pose(rng), draw_subject(spec.seed, number))
    view = draw_view(rng, spec.level)
    xyz, placed, camera = frame(
        rng, joints @ view.T, vertices @ view.T, image_px=spec.image_px, context=spec.context
    )
    props = draw_props(rng, xyz, draw_subject(spec.seed, number).skin)
    return Hand(number, xyz, placed, camera, props)


def make_layer(spec: ProceduralSpec, split: Split, index: int) -> tuple[Hand, Light, Layer]:
    """Render a hand and the things near it, without background; equal for all its versions."""
    hand = make_hand(spec, split, index)
    light = draw_light(numpy_generator("light", spec.seed, split, index))
    figure = Figure(hand.vertices, draw_subject(spec.seed, hand.subject))
    return hand, light, render([figure], hand.props, hand.camera, light, image_px=spec.image_px)


def make_sample(spec: ProceduralSpec, split: Split, index: int, version: int = 0) -> Sample:
    """Render one image with exact labels.

    Args:
        spec: Specification of the set.
        split: Determines the possible subjects, lights and backgrounds; no two splits share any.
        index: Index of the hand within the split.
        version: Index of the background.

    Returns:
        A right hand; `id` = unique id + unique hands x version, `group` = unique id. In
        `evaluation`, ids continue after those of the last version.

    Raises:
        InputError: Index or version is outside the spec.
    """
    if not (0 <= index < spec.count(split) and 0 <= version < spec.versions_of(split)):
        raise InputError(
            f"procedural {split}: expected index < {spec.count(split)} and version < "
            f"{spec.versions_of(split)}, got {index} and {version}"
        )
    hand, light, layer = make_layer(spec, split, index)
    rng = numpy_generator("background", spec.seed, split, index, version)
    skin = draw_subject(spec.seed, hand.subject).skin
    scene = draw_background(rng, spec.image_px, light, skin)
    image = develop(rng, scene * (1.0 - layer.coverage) + layer.colour, light)
    unique = spec.unique_ids(split)[index]
    shift = spec.versions - 1 if split == "evaluation" else version
    homogeneous = hand.xyz @ hand.camera.T
    return Sample(
        image=image,
        id=unique + spec.unique * shift,
        group=unique,
        source=f"procedural/{split}/{index}.{version}",
        uv=homogeneous[:, :2] / homogeneous[:, 2:],
        xyz=hand.xyz,
        camera=hand.camera,
    )
