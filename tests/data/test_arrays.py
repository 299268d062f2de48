"""Folders of arrays: whole or not at all, and a cache that never gets in the way."""

import os

import numpy as np
import pytest

from handssl.data.arrays import cached_arrays, open_arrays, save_arrays
from handssl.errors import DataError

ARRAYS = {"a": np.arange(6).reshape(2, 3), "names": np.array(["x", "yy"])}


def test_what_is_saved_is_opened(tmp_path):
    save_arrays(tmp_path / "deep" / "folder", ARRAYS)
    opened = open_arrays(tmp_path / "deep" / "folder")
    assert {name: array.tolist() for name, array in opened.items()} == {
        name: array.tolist() for name, array in ARRAYS.items()
    }
    assert not opened["a"].flags.writeable


def test_a_folder_that_cannot_be_written_whole_is_not_there(tmp_path):
    class Full:
        def __array__(self, dtype=None, copy=None):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        save_arrays(tmp_path / "folder", {**ARRAYS, "z": Full()})
    assert list(tmp_path.iterdir()) == []


def test_a_cut_array_is_named(tmp_path):
    save_arrays(tmp_path / "folder", ARRAYS)
    (tmp_path / "folder" / "a.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"a\.npy: expected an array"):
        open_arrays(tmp_path / "folder")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "handssl"


@pytest.fixture
def parsing(tmp_path):
    """Call `cached_arrays` on a file; the list counts how often it was parsed."""
    source, parsed = tmp_path / "source.json", []
    source.write_text("1")

    def parse():
        parsed.append(source.read_text())
        return {"value": np.array(int(source.read_text()))}

    return source, parsed, lambda kind="test-1": cached_arrays([source], kind, parse)["value"]


def test_a_file_is_parsed_once(cache, parsing):
    _, parsed, call = parsing
    assert [int(call()), int(call())] == [1, 1]
    assert parsed == ["1"]
    assert len(list(cache.iterdir())) == 1


def test_a_file_that_changed_is_parsed_again(cache, parsing):
    source, parsed, call = parsing
    call()
    source.write_text("22")
    assert int(call()) == 22
    assert parsed == ["1", "22"]


def test_a_file_that_was_unpacked_again_is_parsed_again_though_size_and_time_are_the_same(
    cache, parsing
):
    source, parsed, call = parsing
    call()
    before = source.stat()
    source.write_text("2")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert int(call()) == 2
    assert parsed == ["1", "2"]


def test_another_parser_does_not_read_what_the_first_one_made(cache, parsing):
    _, parsed, call = parsing
    call("test-1"), call("test-2")
    assert len(parsed) == 2


def test_a_cache_that_was_damaged_is_made_again(cache, parsing):
    _, parsed, call = parsing
    call()
    (folder,) = cache.iterdir()
    (folder / "value.npy").write_bytes(b"?")
    assert int(call()) == 1
    assert len(parsed) == 2
    assert int(call()) == 1
    assert len(parsed) == 2


def test_where_no_cache_can_be_written_the_file_is_parsed_each_time(tmp_path, monkeypatch, parsing):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    _, parsed, call = parsing
    assert [int(call()), int(call())] == [1, 1]
    assert len(parsed) == 2


def test_a_user_without_home_needs_no_cache(monkeypatch, parsing):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", unknown)  # as in a container with a user id of its own
    _, parsed, call = parsing
    assert [int(call()), int(call())] == [1, 1]
    assert len(parsed) == 2
