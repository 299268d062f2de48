"""Deal of a stage's skeletons: columns of the fraction, and the order of its cosets over blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from handssl.randomness import permutation
from handssl.stats.skeleton import Skeletons, check_fraction, count_cosets


def deal(names: Iterable[str], cells: int, seed: int | None) -> Skeletons:
    """Return the skeletons of all blocks: execution, plan, simulation and report ask here.

    Which effects a fraction confounds depends on its columns, and an error of the fraction on its
    coset; random ones make the errors of its estimates random. A block's coset depends on its
    position alone, so blocks that are added behind change none.

    Args:
        names: The transformations.
        cells: Size of the fraction, a power of two.
        seed: Seed of both permutations; None: alphabetical columns and cosets 0, 1, 2 and so on.

    Raises:
        ValueError: `cells` is not a power of two, or too small for the transformations.

    Example:
        >>> deal(["rotate", "blur", "translate"], 4, None)
        Skeletons(columns=('blur', 'rotate', 'translate'), cells=4, cosets=(0, 1))
        >>> sorted(deal(["a", "b", "c", "d", "e"], 16, 3).columns)
        ['a', 'b', 'c', 'd', 'e']
    """
    ordered = sorted(names)
    check_fraction(len(ordered), cells)
    cosets = list(range(count_cosets(len(ordered), cells)))
    if seed is not None:
        ordered = [ordered[i] for i in permutation(len(ordered), "columns", seed).tolist()]
        cosets = permutation(len(cosets), "cosets", seed).tolist()
    return Skeletons(tuple(ordered), cells, tuple(cosets))


def planned_skeletons(
    planned: Mapping[str, str], stage: str, names: Iterable[str]
) -> Skeletons | None:
    """Return the skeletons of a stage by its study's plan; None if it has none.

    Args:
        planned: The plan, dotted names to text; one without `seed` was stored before skeletons were
            dealt.
        stage: Name of the stage.
        names: The transformations of its cells.
    """
    cells, seed = (planned.get(f"stages.{stage}.{key}", "") for key in ("skeleton", "seed"))
    if not cells.isdecimal() or int(cells) == 0:
        return None
    try:
        return deal(names, int(cells), int(seed) if seed.isdecimal() else None)
    except ValueError:
        return None
