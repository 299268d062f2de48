"""All published numbers that the package knows, with their sources and conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from handssl.data.readers.freihand.splits import RULES


class Conditions(NamedTuple):
    """What two errors must share to be compared.

    Attributes:
        dataset: Name of the dataset.
        split: Rule that divides it, as in the manifest of a store, or the name of an official set.
        images: Number of images of the split; 0 if it is not published.
        boxes: Source of the crop boxes.
        measure: Id of the protocol, without a suffix for the boxes.
    """

    dataset: str
    split: str
    images: int
    boxes: str
    measure: str


@dataclass(frozen=True)
class Published:
    """A published error.

    Attributes:
        source: Key of `SOURCES`.
        where: Table or figure.
        conditions: Its conditions.
        objective: Training objective; `supervised` without pretraining.
        composition: Transformations in canonical order; empty if none were compared.
        mean_mm: Mean error in mm.
        median_mm: Median error in mm; None if it was not published.
        how: What else is published about it.
    """

    source: str
    where: str
    conditions: Conditions
    objective: str
    composition: str
    mean_mm: float
    median_mm: float | None = None
    how: str = ""


SOURCES = {
    "pmlr148": (
        '"Exploring self-supervised learning techniques for hand pose estimation", PMLR '
        "148:255-271, 2021"
    ),
    "peclr": "PeCLR, ICCV 2021, README of github.com/dahiyaaneesh/peclr",
}
"""Full references by key."""

HELD_OUT_TENTH = Conditions(
    "freihand", RULES["published_90_10"], 13_024, "published", "abs_recovered_21"
)
_TO_EVALUATION = Conditions("freihand", "official evaluation set", 0, "published", "freihand_pa_21")
_TO_INTERHAND = Conditions(
    "interhand", "official test set, first release", 0, "published", "interhand_21"
)
_FROZEN = "ResNet-18 from ImageNet weights, frozen, linear layer trained by Adam; one seed"
_TUNED = "HRNet-W32, all weights tuned"
_PECLR_50 = "ResNet-50, 224 px, pretrained on FreiHAND and YouTube, tuned on FreiHAND"
_PECLR_152 = "ResNet-152, 224 px, pretrained on FreiHAND and YouTube, tuned on FreiHAND"
OTHERWISE = (
    "In the source, networks start from ImageNet weights and train 100 epochs in batches of 2,048, "
    "the linear layer is trained by Adam, root depth comes from the bone wrist to index_mcp, "
    "rotations as relative targets wrap at 360 degrees, and each number is of one seed."
)
"""What still differs where all conditions of the compositions are met."""

# Composition, then mean and median error in cm with the relative and the contrastive objective.
_COMPOSITIONS = """
color_jitter                        90.54  81.21  63.81  25.18
color_jitter+scale                 336.11  69.67  24.52  13.05
color_jitter+rotate+scale           95.51  89.30  54.18  26.86
color_jitter+rotate                108.10  98.82  82.12  46.11
scale                              101.83  79.55  32.81  15.94
rotate+scale                       106.51  99.71  72.72  50.59
rotate                             115.47 106.21  73.01  54.21
translate                           58.92  36.60  52.38  21.02
color_jitter+translate              65.80  33.00  31.85  14.86
color_jitter+scale+translate        56.50  23.39  26.16  12.05
color_jitter+rotate+scale+translate 49.96  31.37  50.04  24.96
color_jitter+rotate+translate       55.43  41.62  66.59  34.76
scale+translate                     64.11  23.31  30.79  14.67
rotate+scale+translate              53.89  34.26  75.79  54.42
rotate+translate                    63.78  51.33  70.70  52.85
"""


def _compositions() -> Iterator[Published]:
    for line in _COMPOSITIONS.split("\n")[1:-1]:
        name, *values = line.split()
        numbers = [round(10 * float(value), 1) for value in values]
        for n, objective in enumerate(("relative", "contrastive")):
            mean, median = numbers[2 * n : 2 * n + 2]
            yield Published(
                "pmlr148", "Table 5", HELD_OUT_TENTH, objective, name, mean, median, _FROZEN
            )


PUBLISHED: tuple[Published, ...] = (
    *_compositions(),
    Published("pmlr148", "Table 4", _TO_EVALUATION, "supervised", "", 10.8, None, _TUNED),
    Published("pmlr148", "Table 4", _TO_EVALUATION, "contrastive", "", 9.5, None, _TUNED),
    Published("pmlr148", "Table 9", _TO_INTERHAND, "supervised", "", 15.0, None, _TUNED),
    Published("pmlr148", "Table 9", _TO_INTERHAND, "contrastive", "", 14.0, None, _TUNED),
    Published("peclr", "leaderboard", _TO_EVALUATION, "equivariant", "", 7.1, None, _PECLR_50),
    Published("peclr", "leaderboard", _TO_EVALUATION, "equivariant", "", 6.6, None, _PECLR_152),
)
"""All published errors that the package knows."""
