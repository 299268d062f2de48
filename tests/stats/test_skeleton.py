"""The skeleton is orthogonal, as good as the best known designs, and its cosets cover all."""

from itertools import combinations

import numpy as np
import pytest

from handssl.stats.skeleton import confounded, defining_words, skeleton

SEVEN = ("blur", "color_jitter", "cutout", "noise", "rotate", "sobel", "translate")


def signs(names, compositions):
    return np.array([[1 if name in one else -1 for name in names] for one in compositions])


@pytest.mark.parametrize(("k", "cells"), [(3, 4), (5, 8), (7, 8), (7, 16), (7, 32), (9, 32)])
def test_main_effects_are_balanced_and_orthogonal_in_every_coset(k, cells):
    names = [f"t{i}" for i in range(k)]
    for coset in range(2**k // cells):
        design = signs(names, skeleton(names, cells, coset))
        assert design.shape == (cells, k)
        assert (design.sum(0) == 0).all()
        assert (design.T @ design == cells * np.eye(k)).all()


@pytest.mark.parametrize(("k", "cells"), [(3, 4), (7, 16), (7, 32), (8, 16)])
def test_the_cosets_divide_all_compositions_among_them(k, cells):
    names = [f"t{i}" for i in range(k)]
    parts = [skeleton(names, cells, coset) for coset in range(2**k // cells)]
    assert len({one for part in parts for one in part}) == 2**k
    assert skeleton(names, cells, 2**k // cells) == parts[0]


# Resolution of the best regular fractions, from the tables of Box, Hunter and Hunter.
@pytest.mark.parametrize(
    ("k", "cells", "resolution"),
    [
        (3, 4, 3),
        (4, 8, 4),
        (5, 16, 5),
        (5, 8, 3),
        (6, 16, 4),
        (6, 32, 6),
        (7, 16, 4),
        (7, 32, 4),
        (7, 64, 7),
        (7, 8, 3),
        (8, 16, 4),
        (8, 64, 5),
        (9, 32, 4),
        (9, 128, 6),
    ],
)
def test_the_resolution_is_that_of_the_best_known_design(k, cells, resolution):
    assert min(word.bit_count() for word in defining_words(k, cells)) == resolution


def test_what_is_confounded_is_what_the_design_cannot_tell_apart():
    for names, cells in ((SEVEN, 16), (SEVEN[:5], 8)):
        design = signs(names, skeleton(names, cells))
        columns = {
            ":".join(names[i] for i in members): design[:, list(members)].prod(1)
            for size in (1, 2)
            for members in combinations(range(len(names)), size)
        }
        alike = {
            frozenset((a, b))
            for a, b in combinations(columns, 2)
            if abs(columns[a] @ columns[b]) == cells
        }
        told = {
            frozenset(pair) for group in confounded(names, cells) for pair in combinations(group, 2)
        }
        assert told == alike


def test_sixteen_of_seven_leave_main_effects_clear_of_pairs():
    assert all(":" in effect for group in confounded(SEVEN, 16) for effect in group)
    assert confounded(SEVEN, 64) == []


def test_a_fraction_as_large_as_everything_is_everything():
    assert len(skeleton(SEVEN, 128)) == len(skeleton(SEVEN, 512)) == 128


@pytest.mark.parametrize("cells", [0, 3, 12])
def test_sizes_that_are_no_power_of_two_are_refused(cells):
    with pytest.raises(ValueError, match="power of two"):
        skeleton(SEVEN, cells)


def test_too_few_cells_are_refused():
    with pytest.raises(ValueError, match="cannot tell 7"):
        skeleton(SEVEN, 4)
