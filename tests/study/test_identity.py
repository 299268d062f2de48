from __future__ import annotations

from typing import Any

import pytest

from handssl.study.identity import differences, frozen_defaults, trial_id
from handssl.training.config import PretrainConfig

BASE = PretrainConfig(composition=("rotate",), epochs=20)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"epochs": 21},
        {"composition": ["rotate", "blur"]},
        {"objective": "relative"},
        {"encoder.width": 16},
        {"augmentation.rotate.angle_rad": {"low": -1.0, "high": 1.0}},
        {"optimizer.lr_base": 2e-4},
    ],
)
def test_whatever_changes_the_result_changes_the_identity(changes: dict[str, object]) -> None:
    assert trial_id(BASE.merged(changes), "data") != trial_id(BASE, "data")


def test_the_data_and_the_kind_are_part_of_the_identity() -> None:
    ids = {
        trial_id(BASE, "data"),
        trial_id(BASE, "other"),
        trial_id(BASE, "data", kind="random_encoder"),
    }
    assert len(ids) == 3


def test_parameters_of_a_transformation_that_is_off_are_not_part_of_it() -> None:
    changed = BASE.merged({"augmentation.blur.probability": 0.9})
    assert trial_id(changed, "data") == trial_id(BASE, "data")


def test_the_order_in_which_transformations_are_written_does_not_matter() -> None:
    one = PretrainConfig(composition=("rotate", "blur"))
    other = PretrainConfig(composition=("blur", "rotate"))
    assert trial_id(one, "data") == trial_id(other, "data")


def test_a_configuration_counts_by_what_differs_from_frozen_defaults() -> None:
    frozen = {"a": 1, "b": {"c": [1, 2], "d": None}}
    assert differences({"a": 1, "b": {"c": [1, 2], "d": None}}, frozen) == {}
    assert differences({"a": 2, "b": {"c": [1], "d": None}}, frozen) == {"a": 2, "b": {"c": [1]}}
    assert differences({"a": 1, "new": 0}, frozen) == {"new": 0}


def test_every_option_has_a_frozen_default_so_that_adding_one_changes_no_id() -> None:
    values = PretrainConfig().model_dump(mode="json")
    assert _keys(values) == _keys(dict(frozen_defaults())), (
        "add the option to handssl/study/frozen_defaults.json, with the value that gives the "
        "results of before it existed"
    )


def _keys(values: dict[str, Any], prefix: str = "") -> set[str]:
    names = set()
    for name, value in values.items():
        names |= _keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return names


def test_options_that_the_objective_does_not_use_are_not_part_of_it() -> None:
    changed = BASE.merged({"mixed": "split", "equivariant.inversion": "published"})
    assert trial_id(changed, "data") == trial_id(BASE, "data")


def test_the_identity_is_the_same_in_every_process_and_version_of_this_code() -> None:
    # A literal on purpose: when it changes, results on disk stop counting. Raise NUMERICS_VERSION
    # or leave it, but never change it by accident.
    name = trial_id(BASE, "data")
    assert name == "1f3b5582011d8097"
    assert name == trial_id(PretrainConfig.parse(BASE.model_dump(mode="json")), "data")
