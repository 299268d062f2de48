"""Files with secrets: one user reads them, whatever the mask of the process."""

from __future__ import annotations

import os
import stat

import pytest

from handssl.errors import InputError
from handssl.runtime.private_files import ensure_secret, make_private, new_secret


@pytest.fixture(autouse=True)
def open_mask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_and_its_folder_are_of_one_user(tmp_path):
    make_private(tmp_path / "service")
    ensure_secret(tmp_path / "service" / "token")
    assert mode(tmp_path / "service") == 0o700
    assert mode(tmp_path / "service" / "token") == 0o600


def test_one_that_others_can_read_is_taken_from_them_and_kept(tmp_path):
    (tmp_path / "service").mkdir(mode=0o755)
    (tmp_path / "service" / "token").write_text("known")
    make_private(tmp_path / "service")
    ensure_secret(tmp_path / "service" / "token")
    assert mode(tmp_path / "service") == 0o700
    assert mode(tmp_path / "service" / "token") == 0o600
    assert (tmp_path / "service" / "token").read_text() == "known"


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    with new_secret(tmp_path / "token") as write:
        write("first")
    with pytest.raises(InputError, match="another name"), new_secret(tmp_path / "token") as write:
        write("second")
    assert (tmp_path / "token").read_text() == "first"
    assert mode(tmp_path / "token") == 0o600


def test_a_secret_that_could_not_be_made_leaves_no_file(tmp_path):
    with pytest.raises(InputError, match="no such name"), new_secret(tmp_path / "token"):
        raise InputError("no such name")
    assert list(tmp_path.iterdir()) == []
