"""The picture of the transformations shows each of them, in words and units that are right."""

import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.objectives import relative_target
from handssl.transforms import REGRESSABLE, TRANSFORMATIONS, AugmentConfig
from handssl.transforms.preview import Hands, transformation_sheet
from handssl.transforms.preview_labels import parameter_names, parameter_words, value_text
from handssl.transforms.preview_rows import PAIRS, STEPS, pair_strips, range_strips
from handssl.transforms.sampling import intervals_of

CONFIG = AugmentConfig()


def hands(count=2, *, labelled=True):
    crops = torch.full((count, 3, 56, 56), 128, dtype=torch.uint8)
    uv = np.full((count, 21, 2), 27.5) if labelled else None
    return Hands(crops, uv, np.ones((count, 21), dtype=bool), 1.75)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_every_parameter_with_a_range_has_a_row_from_low_to_high(name):
    strips = range_strips(name, CONFIG, 3)
    intervals = intervals_of(CONFIG, name)[: len(parameter_names(name, CONFIG))]
    assert len(strips) == max(1, len(intervals))
    for column, (strip, interval) in enumerate(zip(strips, intervals, strict=False)):
        values = strip.theta[name][1:, 1 + column].tolist()
        assert values == pytest.approx(np.linspace(interval.low, interval.high, STEPS).tolist())
        assert strip.theta[name][:, 0].tolist() == [0.0] + [1.0] * STEPS


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_every_view_has_a_caption_and_a_hand(name):
    for strip in range_strips(name, CONFIG, 3):
        assert len(strip.captions) == len(strip.rows) == len(strip.theta[name]) == 1 + STEPS
        assert int(strip.rows.max()) < 3


@pytest.mark.parametrize("name", REGRESSABLE)
def test_other_parameters_rest_at_the_identity_while_one_steps(name):
    for column, strip in enumerate(range_strips(name, CONFIG, 1)):
        others = [c for c in range(len(REGRESSABLE[name])) if c != column]
        assert not strip.theta[name][:, 1:][:, others].any()


@pytest.mark.parametrize("name", REGRESSABLE)
def test_pairs_print_the_target_of_their_thetas(name):
    strips = pair_strips(name, CONFIG, 2, relative_target, seed=3)
    assert len(strips) == PAIRS
    for strip in strips:
        a, b = strip.theta[name][:1, 1:], strip.theta[name][1:, 1:]
        for value in relative_target(name, a, b)[0].tolist():
            assert f"{value:+.2f}" in strip.heading


@pytest.mark.parametrize("labelled", [True, False])
def test_the_sheet_has_a_row_for_each_parameter_and_each_regressable_transformation(labelled):
    sheet = transformation_sheet(hands(labelled=labelled), relative_target, cell_px=64)
    rows = sum(max(1, len(parameter_names(name, CONFIG))) for name in TRANSFORMATIONS)
    height = 64 + 20 + 10 + 26
    width = PAIRS * (2 * (64 + 10) + 10)
    assert sheet.shape == ((rows + len(REGRESSABLE)) * height, width, 3)


def test_a_flat_hand_fills_every_cell_of_the_geometric_rows():
    sheet = transformation_sheet(hands(labelled=False), relative_target, cell_px=64)
    grey = (sheet == 128).all(axis=2).mean(axis=1)
    geometric = 3 + 2  # rows of parameters, rows of pairs
    assert (grey > 0.7).sum() >= 0.8 * 64 * geometric


def test_keypoints_are_drawn_on_geometric_rows_alone():
    with_points = transformation_sheet(hands(1), relative_target, cell_px=64)
    without = transformation_sheet(hands(1, labelled=False), relative_target, cell_px=64)
    changed = (with_points != without).any(axis=(1, 2)).reshape(-1, 120).any(axis=1)
    rows = [name for name in TRANSFORMATIONS for _ in range_strips(name, CONFIG, 1)]
    moved = [name in ("rotate", "scale", "translate") for name in [*rows, *REGRESSABLE]]
    assert changed.tolist() == moved


@pytest.mark.parametrize(
    ("parameter", "value", "text"),
    [
        ("angle_rad", np.pi / 6, "+30.0 deg"),
        ("hue_turns", -0.1, "-36 deg"),
        ("log_value", np.log(2), "x 2.00"),
        ("sigma", 25 / 255, "25.0 of 255"),
        ("side_views", 0.25, "25 % of the side"),
        ("value_offset", 0.1, "+0.100"),
    ],
)
def test_values_are_written_with_units_people_read(parameter, value, text):
    assert value_text(parameter, value) == text


def test_names_drop_their_units():
    assert [parameter_words(name) for name in ("angle_rad", "y_boxes", "log_factor")] == [
        "angle", "y", "factor",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "cell_px", "words"), [(0, 64, "at least one hand"), (1, 20, "cell_px")]
)
def test_nonsense_is_refused(count, cell_px, words):
    with pytest.raises(InputError, match=words):
        transformation_sheet(hands(count), relative_target, cell_px=cell_px)
