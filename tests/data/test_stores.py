"""Stores are found by name and fingerprint; a study never names a path."""

import re
from pathlib import Path

import pytest

from handssl.data.config import PackedData
from handssl.data.packing import pack
from handssl.data.preparation import prepare
from handssl.data.splits import StudyData
from handssl.data.stores import VARIABLE, find_store, named_store
from handssl.errors import DataError, InputError
from handssl.study.study import Study

SMALL = {"pretrain": 6, "probe": 5, "select": 3, "test": 3}


@pytest.fixture
def storage(tmp_path, blob_dataset):
    """A storage with two stores named freihand, one named folder."""
    for name, dataset, counts in (
        ("one", "freihand", SMALL),
        ("two", "freihand", SMALL | {"probe": 6}),
        ("images", "folder", {"pretrain": 7}),
    ):
        reader = blob_dataset(**counts)
        reader.name = dataset
        pack(reader, tmp_path / "stores" / name, crop_px=56, context=1.75)
    return tmp_path


def fingerprint(storage, name):
    return named_store(storage / "stores" / name, storage).manifest.fingerprint


def test_a_store_is_found_by_the_start_of_its_fingerprint(storage):
    start = fingerprint(storage, "two")[:8]
    assert find_store("freihand", start, storage) == storage / "stores" / "two"
    assert prepare(PackedData(name="freihand", fingerprint=start), storage).name == "two"


def test_a_name_alone_is_enough_where_one_store_has_it(storage):
    assert find_store("folder", None, storage) == storage / "stores" / "images"
    assert named_store(Path("folder"), storage).folder.name == "images"


def test_several_stores_of_a_name_are_listed(storage):
    with pytest.raises(InputError, match="2 stores are freihand; add the fingerprint") as caught:
        find_store("freihand", None, storage)
    assert fingerprint(storage, "one")[:12] in str(caught.value)


def test_a_store_that_is_nowhere_is_reported_with_how_to_make_it(storage):
    with pytest.raises(InputError, match="handssl data pack interhand --root ROOT"):
        find_store("interhand", None, storage)
    with pytest.raises(InputError, match="did you mean 'freihand'"):
        find_store("freihnad", None, storage)
    with pytest.raises(InputError, match=r"handssl\.add_dataset"):
        find_store("mine", None, storage)
    with pytest.raises(InputError, match="known stores:\n  folder"):
        named_store(Path("interhand"), storage)


def test_the_same_store_twice_is_one(storage, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("shared")
    (other / "copy").symlink_to(storage / "stores" / "images")
    monkeypatch.setenv(VARIABLE, str(other))
    assert find_store("folder", None, storage).name == "images"


def test_a_store_of_the_default_storage_is_named_with_the_command_that_finds_it(
    storage, tmp_path_factory, monkeypatch
):
    monkeypatch.setenv("HANDSSL_HOME", str(storage))
    monkeypatch.setenv(VARIABLE, "/elsewhere")
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(InputError) as caught:
        find_store("folder", None, empty)
    assert "data pack" not in str(caught.value)
    [line] = re.findall(rf"export {VARIABLE}=(.*)", str(caught.value))
    monkeypatch.setenv(VARIABLE, line)
    assert find_store("folder", None, empty).name == "images"


def test_stores_elsewhere_are_found_by_the_variable(storage, tmp_path_factory, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(storage / "stores"))
    assert find_store("folder", None, tmp_path_factory.mktemp("empty")).name == "images"


def test_pretraining_images_may_come_from_another_store(storage):
    study = Study.parse(
        {
            "name": "cross",
            "cells": [{"composition": "rotate"}],
            "data": {
                "name": "freihand",
                "fingerprint": fingerprint(storage, "one")[:8],
                "pretrain": {"name": "folder"},
            },
        }
    )
    data = StudyData(prepare(study.data, storage))
    assert [len(data.store(split)) for split in SMALL] == [7, 5, 3, 3]
    assert data.tags()["data_pretrain"].startswith("folder ")
    again = StudyData(prepare(study.data, storage))
    assert again.fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "../freihand"}, "data.name: "),
        ({"name": "freihand", "probe": 3}, "data.probe: unknown key (got 3)"),
        ({"prob": 3}, "data.prob: unknown key (got 3); did you mean 'probe'?"),
        ({"name": "freihand", "fingerprint": "xyz"}, "data.fingerprint: "),
        ({"name": "npz", "pretrain": {"name": "fold"}}, "did you mean 'folder'?"),
    ],
)
def test_mistakes_in_the_data_are_reported_by_the_path_written(data, message):
    with pytest.raises(InputError) as caught:
        Study.parse({"name": "x", "cells": [{"composition": "rotate"}], "data": data})
    assert message in str(caught.value)


def test_tags_count_what_was_damaged(tmp_path, blob_dataset):
    class Broken(blob_dataset):
        def __getitem__(self, position):
            if position == 2:
                raise DataError("image 2: expected a whole JPEG, found 0 bytes")
            return super().__getitem__(position)

    pack(Broken(**SMALL), tmp_path / "s", crop_px=56, context=1.75, max_damaged=1)
    tags = StudyData(tmp_path / "s").tags()
    assert (tags["data_labelled_damaged"], tags["data_pretrain_damaged"]) == ("1", "1")
