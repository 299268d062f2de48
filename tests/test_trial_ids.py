"""Trials keep their ids: results on disk are found again by them."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from handssl.ledger.references import Kind
from handssl.objectives import OBJECTIVES
from handssl.transforms import TRANSFORMATIONS
from tests.trial_ids import KEPT, KINDS, configurations, ids

KEPT_IDS = json.loads(KEPT.read_text(encoding="utf-8"))
FIELDS = dict(configurations())
ADVICE = "results on disk no longer count: see NUMERICS_VERSION in handssl/study/identity.py"


@pytest.fixture(scope="module")
def found():
    return ids()


@pytest.mark.parametrize("name", KEPT_IDS)
def test_a_configuration_has_the_id_it_always_had(found, name):
    assert found[name] == KEPT_IDS[name], ADVICE


def test_two_hundred_configurations_are_kept_and_none_without_its_id():
    assert set(FIELDS) == set(KEPT_IDS)
    assert len(KEPT_IDS) >= 200


def test_every_objective_transformation_and_kind_of_reference_is_among_them():
    assert {one.get("objective", "contrastive") for one in FIELDS.values()} == set(OBJECTIVES)
    assert {name for one in FIELDS.values() for name in one.get("composition", ())} == {
        *TRANSFORMATIONS,
        *("darker", "mirrored"),
    }
    assert set(KINDS) == {"trial", *get_args(Kind)}
