"""YAML that means one thing."""

from __future__ import annotations

import gc

import pytest

from handssl.runtime.yaml_text import load_yaml

both = pytest.mark.parametrize("is_shallow", [False, True])


@both
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "line 2, column 1: expected each key once, got a again"),
        ("a: {b: [{c: 1, c: 1}]}", "line 1, column 16: expected each key once, got c again"),
        ("a: ]", "line 1, column 4: .*"),
        ("a: 2001-13-45", "month must be in 1..12"),
        ("a: !!python/object/apply:os.getpid []", "line 1, column 4: could not determine .*"),
    ],
)
def test_what_cannot_be_read_is_reported_in_one_line_with_its_place(is_shallow, text, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        load_yaml(text, is_shallow=is_shallow)


@both
def test_a_key_that_is_merged_may_be_replaced_and_equal_keys_stand_in_different_places(is_shallow):
    text = "a: &x {k: 1}\nb: &y\n  <<: *x\n  k: 2\nc: {<<: *y, k: 4}\nd: [{k: 1}, {k: 1}]"
    found = {"a": {"k": 1}, "b": {"k": 2}, "c": {"k": 4}, "d": [{"k": 1}, {"k": 1}]}
    assert load_yaml(text, is_shallow=is_shallow) == found


@pytest.fixture
def no_collection():
    """No garbage of other tests is collected at the limit of the recursion, where it can't be."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_a_nesting_without_end_ends_nothing():
    with pytest.raises(ValueError, match="nested too deep"):
        load_yaml("[" * 100_000)


def test_an_alias_of_what_holds_it_is_looked_at_once():
    found = load_yaml("&a [*a]")
    assert found[0] is found
