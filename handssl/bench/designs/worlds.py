"""Worlds with known true effects, from which studies are drawn, independently of `promise`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from handssl.planning.recorded import recorded_correlation
from handssl.randomness import numpy_generator
from handssl.scheduling.simulation import Curves
from handssl.stats.seed_variance import SeedVariance

Array = npt.NDArray[np.float64]
Cell = tuple[str, ...]
EPOCHS = 9
NAMES = ("color_jitter", "rotate", "translate", "blur", "cutout", "noise", "sobel")
"""The paper's transformations; designs with k of them have the first k."""
NOISE_MM, SEEDS_MM, MAIN_MM, REST_MM = 1.77, 0.45, 1.0, 1.1
"""Standard deviations as recorded: noise, effects over seeds, main effects, interactions."""
WORLDS = (
    "null",
    "as recorded",
    "three-factor",
    "heteroscedastic",
    "heavy tails",
    "anti-correlated starts",
    "2 % failed",
)
MEANINGS = {
    "null": "no effects",
    "as recorded": "mean curves and residual curves of the recorded grid",
    "three-factor": f"6 mm between {':'.join(NAMES[:3])} = +1 and -1",
    "heteroscedastic": f"noise of 1 mm without and 3 mm with {NAMES[0]}, whose effect varies three "
    "times as much over seeds as the others",
    "heavy tails": "noise from Student's t with 3 degrees of freedom",
    "anti-correlated starts": "correlation -0.5 of the first two epochs with the last",
    "2 % failed": "2 % of trials fail, each at a random epoch",
}


@dataclass(frozen=True)
class World:
    """What studies are drawn from.

    Attributes:
        name: One of `WORLDS`.
        names: The k transformations; bit i of a cell's number is on if it has number i.
        mean: Mean curve of every cell over seeds in mm, shape (2^k, epochs).
        seeds_mm: Standard deviation over seeds of each main effect in mm, shape (k,).
        noise_mm: Standard deviation of each cell's noise in mm, shape (2^k,).
        starts: Correlation within a block of each epoch's values with the last ones, (epochs - 1,).
        tails: Degrees of freedom of the noise's t distribution; 0 for normal noise.
        failed: Share of trials that fail.
        pool: Residual curves that serve as noise in mm, shape (M, epochs); None: drawn.
    """

    name: str
    names: tuple[str, ...]
    mean: Array
    seeds_mm: Array
    noise_mm: Array
    starts: Sequence[float]
    tails: float = 0.0
    failed: float = 0.0
    pool: Array | None = None

    @property
    def truth(self) -> Array:
        """Mean last value of every cell over seeds in mm."""
        return self.mean[:, -1]

    @cached_property
    def cells(self) -> list[Cell]:
        """The compositions, by number."""
        return [
            tuple(sorted(name for i, name in enumerate(self.names) if number >> i & 1))
            for number in range(len(self.mean))
        ]

    @cached_property
    def variance(self) -> SeedVariance:
        """Its true variances."""
        effects = effects_of(self.truth, len(self.names))
        higher = [mm for name, mm in effects.items() if len(name) > 1]
        main = [effects[i,] for i in range(len(self.names))]
        return SeedVariance(
            noise_mm=float(np.sqrt(np.mean(self.noise_mm**2))),
            effect_mm=float(np.sqrt(np.mean(self.seeds_mm**2))),
            main_mm=float(np.sqrt(np.mean(np.square(main)))),
            interaction_mm=float(np.sqrt(np.sum(np.square(higher)))) / 2,
            freedom=10**6,
        )

    def without_low_orders(self) -> World:
        """Return the world without main effects and pairs, which Holm's families test."""
        k = len(self.names)
        columns = [sign_column(one, k) for n in (1, 2) for one in combinations(range(k), n)]
        low = np.stack(columns, axis=1)
        return replace(self, mean=self.mean - low @ (low.T @ self.mean) / len(self.mean))

    def block(self, draw: np.random.Generator) -> Array:
        """Draw the curves that all cells have with one seed in mm, shape (2^k, epochs)."""
        own = draw.normal(0, self.seeds_mm) @ np.stack(
            [sign_column((i,), len(self.names)) for i in range(len(self.names))]
        )
        shift = own[:, np.newaxis] / 2 + draw.normal(0, 1.0)
        curves = self.mean + shift
        return curves + self._noise(draw) if self.pool is not None else self._drawn(curves, draw)

    def observed(self, curves: Array, draw: np.random.Generator) -> Array:
        """Return curves (..., epochs) with NaN from the epoch on in which a trial failed."""
        lost = draw.random(curves.shape[:-1]) < self.failed
        begin = np.where(lost, draw.integers(0, EPOCHS, lost.shape), EPOCHS)
        return np.where(np.arange(EPOCHS) >= begin[..., np.newaxis], np.nan, curves)

    def _noise(self, draw: np.random.Generator) -> Array:
        assert self.pool is not None  # noqa: S101  only the recorded world calls this
        return self.pool[draw.integers(0, len(self.pool), len(self.mean))]

    def _drawn(self, curves: Array, draw: np.random.Generator) -> Array:
        """Return drawn last values, and early ones x = +-y + error with their correlations."""
        size = len(curves)
        unit = (
            draw.standard_t(self.tails, size) / math.sqrt(self.tails / (self.tails - 2))
            if self.tails
            else draw.normal(size=size)
        )
        last = curves[:, -1] + self.noise_mm * unit
        own = self.variance
        spread = math.hypot(float(self.truth.std()), own.noise_mm)
        spread = math.hypot(spread, own.effect_mm * math.sqrt(len(self.names)) / 2)
        rho = np.array(self.starts)
        error = spread * np.sqrt(1 / rho**2 - 1) * draw.normal(size=(size, EPOCHS - 1))
        return np.column_stack([100 + np.sign(rho) * (last - 80)[:, np.newaxis] + error, last])


def world(name: str, k: int, curves: Curves | None = None) -> World:
    """Return a world with k transformations; its effects are the same in every study.

    Args:
        name: One of `WORLDS`.
        k: Number of transformations, 3 to 7.
        curves: Recorded curves of all seven, needed for `as recorded`.
    """
    if name == "as recorded":
        if curves is None:
            raise ValueError("expected recorded curves for the world `as recorded`")
        return recorded_world(curves, k)
    size, factor = 2**k, 3.0 if name == "heteroscedastic" else 1.0
    heavy = sign_column((0,), k) > 0
    starts = [recorded_correlation(epoch / EPOCHS) for epoch in range(1, EPOCHS)]
    if name == "anti-correlated starts":
        starts[:2] = [-0.5, -0.5]
    return World(
        name,
        NAMES[:k],
        np.repeat(_means(name, k)[:, np.newaxis], EPOCHS, axis=1),
        np.array([factor * SEEDS_MM, *[SEEDS_MM] * (k - 1)]),
        np.where(heavy, 3.0, 1.0) if factor > 1 else np.full(size, NOISE_MM),
        starts,
        tails=3.0 if name == "heavy tails" else 0.0,
        failed=0.02 if name == "2 % failed" else 0.0,
    )


def _means(name: str, k: int) -> Array:
    """Return the mean last value of every cell in mm: main effects and interactions drawn once."""
    draw, size = numpy_generator("designs", "world", k), 2**k
    columns = [n for order in range(1, k + 1) for n in combinations(range(k), order)]
    scale = [MAIN_MM if len(n) == 1 else 2 * REST_MM / math.sqrt(size - k - 1) for n in columns]
    mm = np.zeros(len(columns)) if name == "null" else draw.normal(0, scale)
    if name == "three-factor":
        mm[columns.index((0, 1, 2))] = 6.0
    return 80 + np.stack([sign_column(n, k) for n in columns], axis=1) @ mm / 2


def recorded_world(curves: Curves, k: int) -> World:
    """Return the world of recorded curves: their means, and their residuals over seeds as noise.

    Residuals of cell + block, without each block's own main effects, are scaled to the variance
    that they estimate; those main effects are drawn with the recorded variance.
    """
    size, blocks, names = 2 ** len(NAMES), len(curves.values), NAMES
    own = World("", names, np.zeros((size, 1)), np.zeros(len(names)), np.zeros(size), ())
    values = np.array([[block[cell] for cell in own.cells] for block in curves.values.values()])
    mean = values.mean(axis=0)
    rest = values - mean - values.mean(axis=1, keepdims=True) + mean.mean(axis=0)
    main = np.stack([sign_column((i,), len(names)) for i in range(len(names))], axis=1)
    rest -= main @ (main.T @ rest) / size
    rest *= math.sqrt(blocks / (blocks - 1) * size / (size - len(names) - 1))
    pool = rest.reshape(-1, rest.shape[-1])
    return World(
        "as recorded",
        names[:k],
        mean[: 2**k],
        np.full(k, SEEDS_MM),
        np.full(2**k, float(pool[:, -1].std())),
        [recorded_correlation(epoch / EPOCHS) for epoch in range(1, EPOCHS)],
        pool=pool,
    )


@lru_cache(maxsize=1024)
def sign_column(members: tuple[int, ...], k: int) -> Array:
    """Return the sign of every cell in the contrast of an effect, shape (2^k,)."""
    numbers = np.arange(2**k)
    found: Array = np.prod([np.where(numbers >> i & 1, 1.0, -1.0) for i in members], axis=0)
    return found


def effects_of(values: Array, k: int) -> dict[tuple[int, ...], float]:
    """Return all effects of a grid in mm by the numbers of their transformations."""
    return {
        members: float(2 * np.mean(sign_column(members, k) * values))
        for order in range(1, k + 1)
        for members in combinations(range(k), order)
    }
