"""Data of a study: procedural hands, packed stores by name, or a union of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

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
    return name if name in ("procedural", "union", "cross") else "packed"


OneData = Annotated[
    Annotated[ProceduralData, Tag("procedural")] | Annotated[PackedData, Tag("packed")],
    Discriminator(_kind),
]
"""Procedural or packed data, distinguished by `name`; without a name it is procedural."""


def one_store(value: ProceduralData | PackedData | None) -> ProceduralData | PackedData | None:
    """Return a dataset, or raise ValueError if it combines two stores."""
    if isinstance(value, PackedData) and value.pretrain is not None:
        raise ValueError("expected a dataset without pretrain; list the other store itself")
    return value


class Member(Config):
    """One dataset of a union.

    Attributes:
        data: The dataset, labelled or not; its split pretrain is used.
        weight: Expected share of the samples that are drawn from it, relative to the others.
    """

    data: OneData
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    _is_one_store = field_validator("data")(one_store)


class UnionData(Config):
    """Labels of one dataset, and the images of several for pretraining.

    Each sample of an epoch comes from dataset i with probability w_i / sum w, independently, and
    within a dataset without repetition until all of it was drawn. An epoch has as many samples as
    the split pretrain of `labelled`, so that arms with equal epochs have equal numbers of updates.

    Attributes:
        name: `union`.
        labelled: Dataset with probe, select and test.
        pretrain: Datasets for pretraining; `labelled` is one of them only if it is listed. By
            default each has the same weight, whatever its size, as in the published code.
        like: Dataset that has as many images for pretraining as an epoch has samples; default:
            `labelled`.

    Example:
        >>> both = {"labelled": {"name": "freihand"},
        ...         "pretrain": [{"data": {"name": "freihand"}}, {"data": {"name": "interhand"}}]}
        >>> UnionData.parse({"name": "union", **both}).shares
        (0.5, 0.5)
    """

    name: Literal["union"] = "union"
    labelled: OneData
    pretrain: Annotated[tuple[Member, ...], Field(min_length=1)]
    like: OneData | None = None
    _is_one_store = field_validator("labelled", "like")(one_store)

    @field_validator("pretrain")
    @classmethod
    def _members_differ(cls, value: tuple[Member, ...]) -> tuple[Member, ...]:
        if len({one.data.model_dump_json() for one in value}) < len(value):
            raise ValueError("a dataset is listed twice; give it a larger weight instead")
        return value

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the samples that is expected from each dataset; they sum to 1."""
        total = sum(one.weight for one in self.pretrain)
        return tuple(one.weight / total for one in self.pretrain)


class CrossData(Config):
    """Labels of one dataset to fit and choose a probe, and those of another to evaluate it.

    Nothing is pretrained on it.

    Attributes:
        name: `cross`.
        fitted: Dataset with probe and select.
        evaluated: Dataset with test.
    """

    name: Literal["cross"] = "cross"
    fitted: OneData
    evaluated: OneData
    _is_one_store = field_validator("fitted", "evaluated")(one_store)


DataConfig = Annotated[
    Annotated[ProceduralData, Tag("procedural")]
    | Annotated[PackedData, Tag("packed")]
    | Annotated[UnionData, Tag("union")]
    | Annotated[CrossData, Tag("cross")],
    Discriminator(_kind),
]
"""Any data, distinguished by `name`; without a name it is procedural."""


def parts_of(data: DataConfig) -> tuple[OneData, ...]:
    """Return the datasets that data consist of, those with labels first."""
    if isinstance(data, UnionData):
        like = (data.like,) if data.like else ()
        return (data.labelled, *(one.data for one in data.pretrain), *like)
    if isinstance(data, CrossData):
        return (data.fitted, data.evaluated)
    return (data,)


def stores_of(data: DataConfig) -> tuple[PackedData | Pretraining, ...]:
    """Return the packed stores that are searched by name.

    Example:
        >>> both = PackedData.parse({"name": "freihand", "pretrain": {"name": "folder"}})
        >>> [one.name for one in stores_of(both)]
        ['freihand', 'folder']
    """
    packed = [one for one in parts_of(data) if isinstance(one, PackedData)]
    return tuple(one for each in packed for one in (each, each.pretrain) if one is not None)
