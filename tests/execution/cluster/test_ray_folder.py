"""The folder of a Ray of ours: new, closed to others, short, and removed by its owner alone."""

from __future__ import annotations

import shutil
import stat
import tempfile
from pathlib import Path

import pytest
import ray.dashboard.utils as dashboard_utils
from ray.dashboard.subprocesses.module import SubprocessModule

from handssl.errors import InputError
from handssl.execution.cluster.ray_folder import (
    MOST_CHARACTERS,
    make_ray_folder,
    ray_temp,
    remove_ray_folder,
    renew_ray_folder,
    unfit,
)

SESSION = "session_2026-11-30_01-58-49_589919_4194304/sockets/"


@pytest.fixture
def short(monkeypatch):
    """A folder of ours with a short path, which the user has named."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def dashboard_parts():
    """The processes of Ray's dashboard that have a socket each, named after their class."""
    return dashboard_utils.get_all_modules(SubprocessModule)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's modules, when imported
def test_it_is_new_and_closed_to_others_and_short_enough_for_every_socket(short, monkeypatch):
    first, second = make_ray_folder(), make_ray_folder()
    assert first.parent == second.parent == short
    assert first != second
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    longest = Path("/" + "x" * (MOST_CHARACTERS - 1)) / first.name
    names = ["plasma_store", "raylet", *(f"dash_{one.__name__}" for one in dashboard_parts())]
    assert len(names) > 5
    assert all(len(f"{ray_temp(longest)}/{SESSION}{name}") <= 107 for name in names)


def test_a_folder_that_others_can_rename_in_is_refused(short):
    assert unfit(short) is None
    short.chmod(0o777)
    assert unfit(short) == f"is not safe: other users may rename what is in {short}"
    short.chmod(0o1777)
    assert unfit(short) is None
    below = short / "b"
    below.mkdir(mode=0o700)
    short.chmod(0o770)
    assert "not safe" in str(unfit(below))
    link = short / "l"
    link.symlink_to(below)
    assert "not safe" in str(unfit(link))
    with pytest.raises(InputError, match=r"RAY_TMPDIR: .*not safe.*mkdir -m 700"):
        make_ray_folder()


@pytest.mark.parametrize("place", ["/nowhere", "/etc/passwd", "/tmp/" + "x" * 150])
def test_a_named_folder_that_does_not_fit_is_refused_and_another_is_not_taken(monkeypatch, place):
    monkeypatch.setenv("RAY_TMPDIR", place)
    with pytest.raises(InputError, match=f"RAY_TMPDIR: .*{place}"):
        make_ray_folder()


def test_a_service_removes_its_own_folder_alone(short, tmp_path):
    link, copied = tmp_path / "ray", tmp_path / "copied"
    first = renew_ray_folder(link)
    second = renew_ray_folder(link)
    assert link.resolve() == second
    assert not first.exists()
    copied.symlink_to(link.readlink())  # as `cp -a` of a storage leaves it
    remove_ray_folder(copied)
    assert second.exists()
    assert not copied.is_symlink()
    remove_ray_folder(link)
    assert list(short.iterdir()) == []
    remove_ray_folder(link)  # nothing is there any more
