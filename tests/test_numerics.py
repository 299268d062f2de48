"""Numbers do not change unless the version of the numerics does, which every trial's id holds."""

from __future__ import annotations

import json

import pytest

from handssl.study.identity import NUMERICS_VERSION
from tests.numerics import CASES, KEPT, probe_values, values_of

CONTENT = json.loads(KEPT.read_text(encoding="utf-8"))
# Other processors and releases of torch and OpenCV round crops and sums in other ways.
CLOSE = {"rel": 1e-3, "abs": 1e-4}
ADVICE = (
    "the same configuration now gives other numbers. If that is meant, old results must no longer "
    "count: raise NUMERICS_VERSION in handssl/study/identity.py and run `python -m tests.numerics`"
)


def test_the_kept_numbers_are_of_this_version_and_of_these_cases():
    assert CONTENT["version"] == NUMERICS_VERSION, "run `python -m tests.numerics`"
    assert set(CONTENT["cases"]) == {*CASES, "probes"}


@pytest.mark.parametrize("case", CASES)
def test_a_trial_gives_the_numbers_it_always_gave(case, blob_data, tmp_path):
    found = values_of(case, blob_data, tmp_path)
    assert found == pytest.approx(CONTENT["cases"][case], **CLOSE), ADVICE


def test_the_probes_give_the_numbers_they_always_gave(blob_data):
    assert probe_values(blob_data) == pytest.approx(CONTENT["cases"]["probes"], **CLOSE), ADVICE
