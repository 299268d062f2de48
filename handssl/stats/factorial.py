"""All 2^k - 1 contrasts of a grid of compositions, as arrays.

Compositions and effects are numbered by the bits of their transformations, in the order of names:
bit i of a column is on if transformation i is in the composition, or in the effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def effect_of(column: int, names: Sequence[str]) -> str:
    """Return the name of the effect of a column.

    Example:
        >>> effect_of(5, ("blur", "noise", "rotate"))
        'blur:rotate'
    """
    return ":".join(name for i, name in enumerate(names) if column >> i & 1)


def columns_of_order(order: int, k: int) -> list[int]:
    """Return the columns of the effects of so many transformations, in the order of names.

    Example:
        >>> columns_of_order(2, 3)
        [3, 5, 6]
    """
    return [column for column in range(1, 2**k) if column.bit_count() == order]


def as_matrix(
    blocks: Sequence[Mapping[tuple[str, ...], float]], names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return the values of blocks, shape (blocks, 2^k); NaN where a composition has none.

    Args:
        blocks: Values in mm by composition.
        names: The k transformations, ordered.
    """
    values = np.full((len(blocks), 2 ** len(names)), np.nan)
    bits = {name: 1 << i for i, name in enumerate(names)}
    for row, block in zip(values, blocks, strict=True):
        for composition, mm in block.items():
            row[sum(bits[name] for name in composition)] = mm if np.isfinite(mm) else np.nan
    return values


def contrasts(values: Array) -> Array:
    """Return (2 / 2^k) sum of sign x value for every effect, shape (..., 2^k).

    Column 0 is twice the mean. By k sums and differences of halves (Yates's algorithm).

    Args:
        values: Values of all compositions, shape (..., 2^k).

    Example:
        >>> contrasts(np.array([80.0, 76.0, 82.0, 78.0])).tolist()
        [158.0, -4.0, 2.0, 0.0]
    """
    size = values.shape[-1]
    found: Array = values
    for i in range(size.bit_length() - 1):
        halves = found.reshape(*values.shape[:-1], size >> i + 1, 2, 1 << i)
        off, on = halves[..., 0, :], halves[..., 1, :]
        found = np.stack([on + off, on - off], axis=-2).reshape(values.shape)
    return np.asarray(found * (2 / size))


def sign_matrix(columns: Sequence[int], k: int) -> Array:
    """Return the sign of each composition in some effects, shape (effects, 2^k)."""
    compositions = np.arange(2**k)
    off = [np.bitwise_count(column & ~compositions) % 2 for column in columns]
    return 1.0 - 2.0 * np.array(off, dtype=np.float64).reshape(len(columns), 2**k)
