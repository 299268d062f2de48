"""Programs beside the service: what is left of one that has died is ended, and nothing else."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from handssl.service.dispatch import managed_subprocess
from handssl.service.dispatch.managed_subprocess import Command, ManagedSubprocess


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program that has started another one, whose process id it has written down."""
    monkeypatch.setattr(managed_subprocess, "_END_S", 1.0)
    line = f"sleep 600 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; wait"
    command = Command(["sh", "-c", line], "http://127.0.0.1:9", {})
    found = ManagedSubprocess("one", tmp_path, lambda port: command, "/")
    found.ensure()
    yield found
    found.end()


def child(folder: Path) -> psutil.Process:
    deadline = time.monotonic() + 30
    while not (folder / "child").exists():
        assert time.monotonic() < deadline
    return psutil.Process(int((folder / "child").read_text()))


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def test_one_that_has_died_is_started_anew_and_what_it_left_is_ended(tmp_path, program):
    first, left = program._process(), child(tmp_path)
    first.kill()
    first.wait(10)
    assert is_alive(left)
    program.ensure()
    psutil.wait_procs([left], timeout=10)
    assert not is_alive(left)
    assert program._process().pid != first.pid


def test_it_ends_with_all_that_it_has_started(tmp_path, program):
    family = [program._process(), child(tmp_path)]
    program.end()
    assert not any(map(is_alive, family))
    assert program.url == ""


@pytest.mark.parametrize("changes", [{"born_s": 5.0}, {"boot_s": 5.0}])
def test_another_process_with_its_number_by_now_is_left_alone(tmp_path, program, changes):
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    file = tmp_path / "one.json"
    old = json.loads(file.read_text())
    program.end()
    try:
        born = {"born_s": psutil.Process(stranger.pid).create_time() - 60}
        file.write_text(json.dumps(old | born | {"pid": stranger.pid} | changes))
        program.ensure()
        assert stranger.poll() is None
        assert program._process().pid != stranger.pid
    finally:
        stranger.kill()
        stranger.wait()


def test_one_that_cannot_be_remembered_is_not_left_running(tmp_path):
    found = ManagedSubprocess("two", tmp_path, lambda port: Command(["sleep", "600"], "", {}), "/")
    (tmp_path / "two.new").mkdir()  # in the way, as a full disk is
    with pytest.raises(OSError, match="directory"):
        found.ensure()
    assert found._started.returncode == -signal.SIGKILL
    (tmp_path / "two.new").rmdir()
    found.ensure()
    assert found._process().pid == found._started.pid
    found.end()
