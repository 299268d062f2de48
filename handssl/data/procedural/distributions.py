"""Distributions that procedural hands are drawn from, each with its unit and source, in one table.

`docs/procedural_hands.md` shows the same table. All of them were fixed before any encoder was
trained on the images, and none may be changed because of a result: a change is another
`GENERATOR_VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_GE = "583 hands of Ge et al. 2019 (test set of real images)"
_OPEN = "no published figure found: our choice"


@dataclass(frozen=True)
class Uniform:
    """Uniform on [low, high]."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        return float(rng.uniform(self.low, self.high))

    def __str__(self) -> str:
        return f"uniform({self.low:g}, {self.high:g})"


@dataclass(frozen=True)
class LogUniform:
    """Uniform in the logarithm on [low, high], low > 0."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))

    def __str__(self) -> str:
        return f"loguniform({self.low:g}, {self.high:g})"


@dataclass(frozen=True)
class Normal:
    """Normal with mean and standard deviation, clipped to [low, high]."""

    mean: float
    sd: float
    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        return float(min(max(rng.normal(self.mean, self.sd), self.low), self.high))

    def __str__(self) -> str:
        return f"normal({self.mean:g}, {self.sd:g}) in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Chance:
    """True with probability p; drawn as 1.0 or 0.0."""

    p: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw 1.0 or 0.0."""
        return float(rng.random() < self.p)

    def __str__(self) -> str:
        return f"chance({self.p:g})"


@dataclass(frozen=True)
class Parameter:
    """One drawn quantity.

    Attributes:
        distribution: Distribution of the quantity, in `unit`.
        unit: Unit of the drawn value; `-` for a factor or a probability.
        what: Definition of the quantity.
        source: Where its numbers come from, or that no source was found.
    """

    distribution: Uniform | LogUniform | Normal | Chance
    unit: str
    what: str
    source: str


TABLE: dict[str, Parameter] = {
    "in_plane": Parameter(
        Uniform(-180, 180),
        "degree",
        "angle of wrist to middle knuckle in the image, level `cone`",
        "32 hands of 7 real data sets have no preferred angle (Rayleigh p = 0.67), see below",
    ),
    "side": Parameter(
        Uniform(-180, 180),
        "degree",
        "turn about the arm's axis: palm, back or an edge towards the camera, level `cone`",
        "cameras all around: FreiHAND and HanCo 8, InterHand2.6M 80 to 140",
    ),
    "tilt": Parameter(
        Normal(0, 20, -60, 60),
        "degree",
        "angle between hand and image plane, level `cone`",
        f"{_GE}: root mean square 20.4, first percentile -60",
    ),
    "distance": Parameter(
        Uniform(0.30, 1.04),
        "m",
        "depth of the mean joint",
        "FreiHAND training set: depths of joints 0.297 to 1.043 m",
    ),
    "box_fill": Parameter(
        Uniform(0.9, 1.0), "-", "side of the crop box x context / side of the image", "framing only"
    ),
    "off_centre": Parameter(
        Uniform(-0.015, 0.015), "-", "centre of the crop box off the image's, in sides", "framing"
    ),
    "size": Parameter(
        Normal(1, 0.07, 0.8, 1.2),
        "-",
        "size of the hand",
        "hand length 183 +- 10 and 166 +- 8 mm, men and women",
    ),
    "thickness": Parameter(
        Normal(1, 0.06, 0.85, 1.15),
        "-",
        "size across the bones",
        "hand breadth 84 +- 4 and 75 +- 4 mm",
    ),
    "finger_length": Parameter(
        Normal(1, 0.04, 0.85, 1.15),
        "-",
        "length of a finger",
        "within the spread of Buryanov and Kotiuk 2010",
    ),
    "bone_length": Parameter(
        Normal(1, 0.04, 0.85, 1.15), "-", "length of a bone", "Buryanov and Kotiuk 2010"
    ),
    "gesture": Parameter(
        Chance(0.1), "-", "pose is a jittered gesture, else free", "together: FreiHAND's bends"
    ),
    "wrist_flexion": Parameter(
        Normal(0, 18, -45, 45), "degree", "bend of the wrist", "range: MyoHand, 45 either way"
    ),
    "wrist_deviation": Parameter(
        Normal(0, 6, -20, 10), "degree", "sideways bend of the wrist", "range: clinical and MyoHand"
    ),
    "skin_lightness": Parameter(
        Uniform(30, 70),
        "CIE L*",
        "lightness of the skin, one per subject",
        "Xiao et al. 2017, de Rigal et al. 2010, tone 8 of the Monk scale; uniform in between",
    ),
    "skin_chroma_noise": Parameter(
        Normal(0, 2, -5, 5),
        "CIE a*, b*",
        "offset of a* and of b* from the mean at that lightness",
        "standard deviations within groups 1.4 to 3.1, Xiao et al. 2017",
    ),
    "sleeve": Parameter(Chance(0.5), "-", "the subject wears a sleeve", _OPEN),
    "sleeve_start": Parameter(
        Uniform(-0.02, 0.28),
        "m",
        "edge of the sleeve from the wrist joint towards the elbow",
        "uniform through the wrist, so that it marks no joint",
    ),
    "held": Parameter(Chance(0.5), "-", "the hand holds an object", _OPEN),
    "occluder": Parameter(Chance(0.2), "-", "something is in front of the hand", _OPEN),
    "face": Parameter(Chance(0.3), "-", "a face is behind the hand", _OPEN),
    "limb": Parameter(Chance(0.4), "-", "an arm, neck or leg is behind the hand", _OPEN),
    "own_skin": Parameter(Chance(0.7), "-", "faces and limbs have the skin of the hand", _OPEN),
    "warm": Parameter(Chance(0.35), "-", "a surface has the hue of wood, card or skin", _OPEN),
    "background_blur": Parameter(
        LogUniform(0.15, 2.5), "% of the side", "blur of the background alone", _OPEN
    ),
    "exposure": Parameter(
        Normal(0, 0.4, -1.2, 1.2), "stop", "error of the exposure, which is automatic", _OPEN
    ),
    "colour_temperature": Parameter(
        LogUniform(2700, 7500), "K", "light, before the white balance", "lamps to overcast sky"
    ),
    "white_balance": Parameter(
        Uniform(0.6, 1.0), "-", "share of the light's colour that the camera removes", _OPEN
    ),
    "gamma": Parameter(Uniform(0.85, 1.15), "-", "exponent after the sRGB curve", _OPEN),
    "grain": Parameter(
        LogUniform(0.003, 0.015), "-", "standard deviation of the noise, white = 1", _OPEN
    ),
    "lens_blur": Parameter(Uniform(0.15, 0.4), "% of the side", "blur of the whole image", _OPEN),
    "jpeg_quality": Parameter(Uniform(60, 95), "-", "quality of the camera's JPEG", _OPEN),
}


def draw(name: str, rng: np.random.Generator) -> float:
    """Draw a quantity of the table."""
    return TABLE[name].distribution.draw(rng)


def chosen(name: str, rng: np.random.Generator) -> bool:
    """Draw whether something is present, by its chance in the table."""
    return draw(name, rng) > 0.5


def markdown() -> str:
    """Return the table for the documentation, one row per quantity."""
    rows = ["| name | distribution | unit | what | source |", "|---|---|---|---|---|"]
    rows += [
        f"| {name} | {p.distribution} | {p.unit} | {p.what} | {p.source} |"
        for name, p in TABLE.items()
    ]
    return "\n".join(rows) + "\n"
