"""Mistakes in an input are told at once, with path, value and nearest valid name."""

from typing import Literal

import pytest

from handssl.config import Config, nearest
from handssl.errors import InputError


class Inner(Config):
    side_px: int = 8
    name: Literal["red", "green"] = "red"


class Outer(Config):
    inner: Inner = Inner()
    several: tuple[Inner, ...] = ()
    count: int = 1


def message(values):
    with pytest.raises(InputError) as caught:
        Outer.parse(values)
    return str(caught.value)


def test_every_mistake_is_named_with_its_dotted_path():
    text = message({"inner": {"sid_px": 3, "name": "gren"}, "several": [{"side_px": "x"}], "n": 1})
    assert text.splitlines()[0] == "4 mistakes in Outer:"
    assert "inner.sid_px: unknown key (got 3); did you mean 'side_px'?" in text
    assert "inner.name: unknown name 'gren'; did you mean 'green'?" in text
    assert "several.0.side_px:" in text
    assert "n: unknown key" in text


def test_something_that_is_no_mapping_is_refused():
    assert "(top level):" in message([1, 2])


def test_a_configuration_is_immutable():
    with pytest.raises(Exception, match="frozen"):
        Outer().count = 2


def test_infinite_numbers_are_refused():
    class Rate(Config):
        lr: float

    with pytest.raises(InputError, match="lr: "):
        Rate.parse({"lr": float("inf")})


def test_yaml_is_read_without_executing_tags(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("count: !!python/object/apply:os.getpid []\n")
    with pytest.raises(InputError, match=r"x\.yaml: not valid YAML"):
        Outer.load(path)


@pytest.mark.parametrize("text", ["", "- 1", "5"])
def test_a_file_without_keys_says_that_keys_are_expected(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"\(top level\): expected keys with values"):
        Outer.load(path)


def test_a_key_that_is_there_twice_is_refused_not_dropped(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("count: 1\ncount: 2\n")
    with pytest.raises(InputError, match="line 2, column 1: expected each key once"):
        Outer.load(path)


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Outer.load(tmp_path / "none.yaml")


def test_dotted_changes_are_validated_as_a_whole():
    assert Outer().merged({"inner.side_px": 5}).inner.side_px == 5
    with pytest.raises(InputError, match=r"inner\.side: unknown key"):
        Outer().merged({"inner.side": 5})
    with pytest.raises(InputError, match="is a single value"):
        Outer().merged({"count.deep": 5})


def test_a_name_far_from_all_others_lists_them():
    assert nearest("qqq", ["red", "green"]) == "; valid: red, green"
