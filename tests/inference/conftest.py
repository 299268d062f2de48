"""A storage with one finished trial on blob hands."""

from __future__ import annotations

import pytest

from tests.finished import SHORTEST, TRIAL, link, train
from tests.stores import copied_stores  # noqa: F401

CONFIG = SHORTEST.merged({"objective": "relative"})


@pytest.fixture(scope="session")
def storage(blob_data, tmp_path_factory):
    """A storage with a finished trial."""
    storage = tmp_path_factory.mktemp("storage")
    link(storage, blob_data)
    train(storage, blob_data, CONFIG, "blobs")
    return storage


@pytest.fixture(scope="session")
def folder(storage):
    """The folder of the trial."""
    return storage / "trials" / TRIAL
