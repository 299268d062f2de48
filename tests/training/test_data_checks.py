"""Stores and networks fit each other, or the message says how."""

import pytest

from handssl.data.splits import StudyData
from handssl.errors import InputError
from handssl.training.config import PretrainConfig
from handssl.training.data_checks import require_reach


def config(input_px: int) -> PretrainConfig:
    """A network of some input; the stored crops of `blob_data` have 56 / 1.75 = 32 px per box."""
    encoder = {"width": 8, "input_px": input_px}
    values = {"encoder": encoder, "composition": ["color_jitter"], "global_batch": 8}
    return PretrainConfig.parse(values)


def test_a_view_of_as_many_pixels_as_the_store_has_per_box_is_taken(blob_data):
    require_reach(config(32), StudyData(blob_data).store("pretrain"))


def test_a_view_of_more_pixels_than_the_store_has_is_refused_with_the_call_that_packs_enough(
    blob_data,
):
    store = StudyData(blob_data).store("pretrain")
    with pytest.raises(InputError, match=r"33 pixels per box.*found 32 \(56 px for 1.75") as told:
        require_reach(config(33), store)
    call = "`handssl.add_dataset(reader, crop_px=58, context=1.75, crop='published')`"
    assert call in str(told.value)
    assert "or set encoder.input_px: 32" in str(told.value)
