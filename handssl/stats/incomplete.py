"""Grids that lack values: least squares over what is there, and bounds of what is not.

A missing value is replaced by the fitted one of y = cell + block; where a composition has a value
in no block, by that of y = block + main effects + pairs, or of main effects alone. Contrasts of the
filled grid are then the least squares estimates of the same model, and plain contrasts if nothing
is missing.

Reference: F. Yates, "The analysis of replicated experiments when the field results are incomplete",
Empire Journal of Experimental Agriculture, 1933.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from handssl.stats.factorial import columns_of_order, contrasts, sign_matrix

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Filled:
    """A grid without gaps.

    Attributes:
        values: Values in mm, shape (blocks, 2^k).
        seen: Where they were observed, same shape.
        order: Largest order of effects that the fit determines: k, or 2 or 1 if it needed a model.
        freedom: Degrees of freedom of an effect's variance over blocks: blocks - 1, times the share
            of the residuals' that the missing values leave.
        variance: Variance of each effect by the missing values, in mm^2, shape (2^k,): 0 if none.
        residual_freedom: Degrees of freedom of that variance.
    """

    values: Array
    seen: npt.NDArray[np.bool_]
    order: int
    freedom: float
    variance: Array
    residual_freedom: float

    @property
    def whole(self) -> bool:
        """Whether nothing was missing."""
        return bool(self.seen.all())

    def bounds(self) -> tuple[Array, Array]:
        """Return the lowest and highest value of each effect in mm, shape (2^k,) each.

        Every missing value is as low or as high as the extreme observed ones of its block,
        whichever moves the effect further. Nothing is assumed of why values are missing, while
        trimming (D. Lee, "Training, wages, and sample selection", 2009) assumes that they are so
        on one side only; an error beyond the observed range is not excluded.
        """
        observed = np.where(self.seen, self.values, np.nan)
        low, high = np.nanmin(observed, axis=1), np.nanmax(observed, axis=1)
        middle = np.where(self.seen, self.values, (low + high)[:, np.newaxis] / 2)
        half = float((~self.seen).sum(axis=1) @ (high - low)) / self.values.size
        found = contrasts(middle.mean(axis=0))
        return found - half, found + half


def fill(values: Array) -> Filled:
    """Replace the missing values of a grid.

    Args:
        values: Values in mm, shape (blocks, 2^k); NaN where missing.

    Raises:
        ValueError: What is there does not determine the main effects.
    """
    seen = np.isfinite(values)
    blocks, size = values.shape
    k = size.bit_length() - 1
    if seen.all():
        return Filled(values, seen, k, blocks - 1.0, np.zeros(size), 0.0)
    left = seen.sum() - seen.any(axis=0).sum() - blocks + 1
    freedom = max(float(left) / (size - 1), 0.0)
    if seen.any(axis=0).all() and _connected(seen) and left > 0:
        return _by_cells(values, seen, freedom)
    for order in (2, 1):
        if found := _by_model(values, seen, order, freedom):
            return found
    raise ValueError(
        f"expected values that determine {k} main effects, got {int(seen.any(axis=0).sum())} of "
        f"{size} compositions in {blocks} blocks"
    )


def _connected(seen: npt.NDArray[np.bool_]) -> bool:
    """Whether a chain of common compositions leads from each block to each other one."""
    common = (seen.astype(float) @ seen.T.astype(float)) > 0
    return bool((np.linalg.matrix_power(common.astype(float), len(seen)) > 0).all())


def _by_cells(values: Array, seen: npt.NDArray[np.bool_], freedom: float) -> Filled:
    """Fill by y = cell + block; the cells are eliminated, as in `adjusted_means`."""
    blocks, size = values.shape
    known, counts = np.where(seen, values, 0.0), seen.sum(axis=0)
    plain = known.sum(axis=0) / counts
    inverse = np.linalg.pinv(np.diag(seen.sum(axis=1)) - (seen / counts) @ seen.T)
    of_block = inverse @ np.where(seen, values - plain, 0.0).sum(axis=1)
    of_cell = plain - of_block @ seen / counts
    fitted = of_block[:, np.newaxis] + of_cell
    k = size.bit_length() - 1
    weights = sign_matrix(range(size), k) * (2 / size)
    through = weights @ (seen / counts).T
    unit = (weights**2 / counts).sum(axis=1) + np.einsum("ij,jk,ik->i", through, inverse, through)
    rest = seen.sum() - size - blocks + 1
    return _filled(values, seen, fitted, (k, freedom, float(rest)), unit)


def _by_model(
    values: Array, seen: npt.NDArray[np.bool_], order: int, freedom: float
) -> Filled | None:
    """Fill by y = block + effects up to an order; None if they are not determined."""
    blocks, size = values.shape
    k = size.bit_length() - 1
    columns = [column for one in range(1, order + 1) for column in columns_of_order(one, k)]
    effects = sign_matrix(columns, k).T / 2
    number, cell = np.nonzero(seen)
    design = np.concatenate([np.eye(blocks)[number], effects[cell]], axis=1)
    rest = len(design) - design.shape[1]
    if rest < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ values[seen]
    fitted = found[:blocks, np.newaxis] + effects @ found[blocks:]
    unit = np.full(size, np.nan)
    unit[columns] = np.diag(inverse)[blocks:]
    return _filled(values, seen, fitted, (order, freedom, float(rest)), unit)


def _filled(
    values: Array,
    seen: npt.NDArray[np.bool_],
    fitted: Array,
    freedoms: tuple[int, float, float],
    unit: Array,
) -> Filled:
    """Return the filled grid.

    Least squares is the best estimate from complete values, so that the variance of the estimate
    without some of them is greater by exactly that of the difference of the two.
    """
    order, freedom, rest = freedoms
    square = float(np.sum((values - fitted)[seen] ** 2)) / rest
    more = np.maximum(unit - 4 / values.size, 0.0) * square
    return Filled(np.where(seen, values, fitted), seen, order, freedom, more, rest)
