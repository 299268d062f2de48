"""A Ray of ours: where it listens, and that it uses no folder which another user has prepared."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import psutil
import pytest
import yaml

from tests.service.lab import DATA, ROOT, TINY

pytestmark = pytest.mark.faults

# Programs whose ports other machines can reach. Of a study whose trials have one worker: none.
OPEN_TO_THE_NETWORK: set[str] = set()
PARTS = {"gcs_server", "raylet", "ray::DashboardAg", "ray::RuntimeEnvA"}
NOBODY = 65534
STUDY = {
    "name": "one",
    "data": DATA,
    "cells": [{"composition": ["rotate"], "objective": "relative"}],
    "blocks": [1],
    "references": False,
    "halving": None,
    "pretrain": TINY,
}
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")


@contextlib.contextmanager
def run(folder: Path, **env: str | None):
    """Start `handssl study run` with an environment; None removes a variable."""
    (folder / "one.yaml").write_text(yaml.safe_dump(STUDY))
    values = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **env}
    words = ["study", "run", str(folder / "one.yaml"), "--storage", str(folder / "runs"), "--quiet"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "handssl.cli", *words],
            env={name: value for name, value in values.items() if value is not None},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        family = [psutil.Process(process.pid)] if process.poll() is None else []
        for one in [*(child for root in family for child in root.children(True)), *family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait(30)


def watchdog(process: subprocess.Popen[bytes]) -> tuple[set[str], set[str]]:
    """Return the names of all that listened until the process ended: for the network, and here."""
    far, near, deadline = set[str](), set[str](), time.monotonic() + 240
    root = psutil.Process(process.pid)
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(psutil.Error):
            for one in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    for port in one.net_connections("inet"):
                        if port.status == psutil.CONN_LISTEN:
                            (near if is_loopback(port.laddr.ip) else far).add(one.name()[:16])
        time.sleep(0.1)
    return far, near


def folders_of_ray(process: subprocess.Popen[bytes]) -> set[Path]:
    """Return the folders that the command lines of its Ray named until the process ended."""
    found, deadline, root = set[Path](), time.monotonic() + 240, psutil.Process(process.pid)
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(psutil.Error):
            for one in root.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    found |= set(map(Path, re.findall(r"/tmp/hs-[^/ ]+", str(one.cmdline()))))
        time.sleep(0.1)
    return found


def is_loopback(text: str) -> bool:
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


@pytest.mark.timeout(270)
def test_a_study_listens_on_this_machine_alone_and_needs_no_home_and_no_short_tmpdir(tmp_path):
    long = tmp_path / ("x" * 150)
    long.mkdir()
    with run(tmp_path, HOME=None, TMPDIR=str(long)) as process:
        far, near = watchdog(process)
        log = (tmp_path / "log").read_text()
        assert process.wait(1) == 0, log
    assert "Traceback" not in log
    assert far == OPEN_TO_THE_NETWORK
    assert near >= PARTS


@needs_root
@pytest.mark.timeout(270)
def test_what_another_user_has_prepared_is_not_used_nor_is_a_home_that_cannot_be_written(tmp_path):
    home, prepared = tmp_path / "home", tmp_path / "prepared"
    home.touch()  # nothing can be made below a file, by root neither
    (prepared / "ray").mkdir(parents=True)
    for folder in (prepared, prepared / "ray"):
        os.chown(folder, NOBODY, NOBODY)
        folder.chmod(0o777)
    with run(tmp_path, HOME=str(home), TMPDIR=str(prepared)) as process:
        folders = folders_of_ray(process)
        assert process.wait(1) == 0, (tmp_path / "log").read_text()
    assert list((prepared / "ray").iterdir()) == []
    [folder] = folders
    assert not folder.exists()


@needs_root
def test_a_folder_for_ray_that_belongs_to_another_user_is_refused_with_what_to_do(tmp_path):
    short = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    try:
        os.chown(short, NOBODY, NOBODY)
        with run(tmp_path, RAY_TMPDIR=str(short)) as process:
            assert process.wait(120) == 2, (tmp_path / "log").read_text()
        [line] = [one for one in (tmp_path / "log").read_text().splitlines() if "RAY_TMPDIR" in one]
        assert f"{short} is not safe: {short} belongs to another user" in line
        assert list(short.iterdir()) == []
    finally:
        shutil.rmtree(short)
