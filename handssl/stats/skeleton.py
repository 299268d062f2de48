"""Skeleton: an orthogonal fraction of the 2^k compositions, with a different coset per block.

A regular fraction 2^(k-p) takes all combinations of k-p base transformations; each of the p others
is on where an odd number of its generator's base transformations is (or, in other cosets, an even
number). Main effects are then orthogonal, and the confounded effects are known.

Reference: G. Box, J. S. Hunter, "The 2^(k-p) fractional factorial designs", Technometrics 1961;
A. Fries, W. G. Hunter, "Minimum aberration 2^(k-p) designs", Technometrics 1980.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

_MOST = 10


def check_fraction(k: int, cells: int) -> None:
    """Check that a fraction is large enough to distinguish the transformations.

    Args:
        k: Number of transformations.
        cells: Size of the fraction.

    Raises:
        ValueError: Too many transformations, not a power of two, or too few cells.
    """
    if k > _MOST or cells < 1 or cells & (cells - 1):
        raise ValueError(
            f"expected a power of two for at most {_MOST} transformations, got {cells} for {k}"
        )
    # Each transformation needs its own column among those of a fraction.
    if cells <= k:
        raise ValueError(
            f"{cells} cells cannot tell {k} transformations apart, expected {2 ** k.bit_length()} "
            "or more"
        )


@dataclass(frozen=True)
class Skeletons:
    """Skeletons of the blocks of a stage: one fraction, with a different coset in each block.

    Attributes:
        columns: The transformations, in the order of the fraction's columns.
        cells: Size of the fraction, a power of two.
        cosets: Every coset once, in the order of blocks; further blocks start again.
    """

    columns: tuple[str, ...]
    cells: int
    cosets: tuple[int, ...]

    def of(self, position: int) -> frozenset[tuple[str, ...]]:
        """Return the compositions of a block's skeleton, each in alphabetical order.

        Args:
            position: Position of the block among those of the study, from 0.
        """
        coset = self.cosets[position % len(self.cosets)]
        chosen = skeleton(self.columns, self.cells, coset)
        return frozenset(tuple(sorted(one)) for one in chosen)

    @property
    def whole(self) -> bool:
        """Whether a skeleton is all compositions."""
        return bool(self.cells >= 2 ** len(self.columns))


def count_cosets(k: int, cells: int) -> int:
    """Return the number of cosets that partition the 2^k compositions.

    Example:
        >>> count_cosets(7, 16), count_cosets(3, 8)
        (8, 1)
    """
    return int(max(1, 2**k // cells))


def skeleton(columns: Sequence[str], cells: int, coset: int = 0) -> tuple[tuple[str, ...], ...]:
    """Return the compositions of a fraction.

    Args:
        columns: The transformations, at most ten, in the order of the fraction's columns.
        cells: Size of the fraction, a power of two; 2^k or more gives all compositions.
        coset: Index of one of the 2^p cosets, which partition all compositions.

    Returns:
        Compositions by size, the names of each in the order of columns.

    Raises:
        ValueError: `cells` is not a power of two, or too small for the transformations.

    Example:
        >>> skeleton(["blur", "rotate", "translate"], 4)
        ((), ('blur', 'rotate'), ('blur', 'translate'), ('rotate', 'translate'))
    """
    return _skeleton(tuple(columns), cells, coset)


@lru_cache(maxsize=1024)
def _skeleton(columns: tuple[str, ...], cells: int, coset: int) -> tuple[tuple[str, ...], ...]:
    check_fraction(len(columns), cells)
    base = _base(len(columns), cells)
    words = generators(len(columns), cells)
    found = []
    for row in range(2**base):
        chosen = [bool(row >> i & 1) for i in range(base)]
        for number, word in enumerate(words):
            parity = sum(chosen[i] for i in range(base) if word >> i & 1) + (coset >> number)
            chosen.append(bool(parity & 1))
        found.append(tuple(name for name, on in zip(columns, chosen, strict=True) if on))
    return tuple(sorted(found, key=lambda one: (len(one), one)))


@lru_cache(maxsize=64)
def generators(k: int, cells: int) -> tuple[int, ...]:
    """Return the base factors, as bits, of each added factor, with minimum aberration.

    Args:
        k: Number of factors.
        cells: Size of the fraction.
    """
    check_fraction(k, cells)
    base = _base(k, cells)
    candidates = [word for word in range(2**base) if word.bit_count() > 1]
    return min(
        combinations(sorted(candidates, key=lambda word: -word.bit_count()), k - base),
        key=lambda words: _aberration(words, base, k),
    )


def defining_words(k: int, cells: int) -> tuple[int, ...]:
    """Return the interactions, as bits of factors, that are constant over the fraction."""
    base = _base(k, cells)
    single = [word | 1 << base + i for i, word in enumerate(generators(k, cells))]
    return tuple(sorted(_span(single)))


def confounded(columns: Sequence[str], cells: int) -> list[tuple[str, ...]]:
    """Return the groups of main effects and pairs that the fraction confounds.

    Args:
        columns: The transformations, in the order of the fraction's columns.
        cells: Size of the fraction.

    Returns:
        Groups of two or more effects, written `a` and `a:b`.

    Example:
        >>> confounded(["blur", "rotate", "translate"], 4)[0]
        ('blur', 'rotate:translate')
    """
    words = (0, *defining_words(len(columns), cells))
    groups: dict[int, list[str]] = {}
    for size in (1, 2):
        for members in combinations(sorted(columns), size):
            effect = sum(1 << columns.index(name) for name in members)
            key = min(effect ^ word for word in words)
            groups.setdefault(key, []).append(":".join(members))
    return [tuple(group) for group in groups.values() if len(group) > 1]


def aliases(columns: Sequence[str], cells: int, name: str) -> list[str]:
    """Return the shortest effects that a fraction confounds with a main effect.

    Args:
        columns: The transformations, in the order of the fraction's columns.
        cells: Size of the fraction.
        name: The transformation.

    Example:
        >>> aliases(["a", "b", "c", "d"], 8, "a")
        ['b:c:d']
    """
    own = 1 << columns.index(name)
    found = [own ^ word for word in defining_words(len(columns), cells)]
    least = min((one.bit_count() for one in found), default=0)
    members = ([n for i, n in enumerate(columns) if one >> i & 1] for one in found)
    return sorted(":".join(sorted(one)) for one in members if len(one) == least)


def _base(k: int, cells: int) -> int:
    return min(k, cells.bit_length() - 1)


def _aberration(words: Sequence[int], base: int, k: int) -> tuple[int, ...]:
    """Return the number of defining words per length; fewer short ones are better."""
    single = [word | 1 << base + i for i, word in enumerate(words)]
    counts = [0] * (k + 1)
    for word in _span(single):
        counts[word.bit_count()] += 1
    return tuple(counts)


def _span(single: Sequence[int]) -> list[int]:
    found = [0]
    for word in single:
        found += [word ^ other for other in found]
    return found[1:]


def subsets(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return every subset, by size, then name.

    Example:
        >>> subsets(["b", "a"])
        [(), ('a',), ('b',), ('a', 'b')]
    """
    ordered = sorted(names)
    return [subset for size in range(len(ordered) + 1) for subset in combinations(ordered, size)]
