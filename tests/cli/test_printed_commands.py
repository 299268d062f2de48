"""Commands that are printed run as they stand, whatever is in the name of the storage."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from handssl.ledger import Ledger
from handssl.service.dispatch.managed_subprocess import free_port
from tests.printed import NAME, Shell, commands, ended
from tests.service.services import served, service
from tests.service.services import study as smallest

pytestmark = pytest.mark.faults

TINY = {
    "epochs": 4,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
    "optimizer": {"warmup_epochs": 1},
}
STUDY = {
    "name": "mine",
    "cells": [{"composition": ["rotate"], "objective": "relative"}],
    "blocks": [1, 2],
    "references": False,
    "halving": None,
}


@pytest.fixture
def shell(tmp_path, blob_data):
    """A shell whose default storage is another than the one that commands are given."""
    (tmp_path / "here").mkdir()
    return Shell(tmp_path / "here", HANDSSL_STORES=str(blob_data.parent))


@pytest.fixture
def storage(tmp_path):
    """A folder with a name that is hard to write down; nothing else may be made beside it."""
    yield tmp_path / NAME
    assert {path.name for path in tmp_path.iterdir()} <= {"here", NAME, "root"}
    assert not (tmp_path / "here" / "handssl-runs").exists()


def write(shell: Shell, name: str, /, **values: object) -> str:
    """Write a file with a name that needs quotes; return it as it is typed."""
    document = {"data": {"name": "blobs"}, "pretrain": TINY, **values}
    (shell.folder / name).write_text(yaml.safe_dump(document), encoding="utf-8")
    return name


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until a process that runs has come so far."""
    deadline_s = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, ended(process)
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def has_epoch(storage: Path) -> bool:
    return any(storage.glob("trials/*/checkpoints/epoch-*"))


def only(text: str, verb: str) -> str:
    """Return the one command of a verb that a text has."""
    found = [line for line in commands(text) if verb in line]
    assert len(set(found)) == 1, f"{verb}: {found} in\n{text}"
    return found[0]


def test_a_run_goes_on_with_the_command_that_its_interruption_prints(shell, storage):
    run = write(
        shell, "my run.yaml", pretrain=TINY | {"composition": ["rotate"], "objective": "relative"}
    )
    process = shell.start("pretrain", run, "--storage", str(storage))
    until(lambda: has_epoch(storage), process)
    process.send_signal(signal.SIGINT)
    shell.paste(only(ended(process, 130), "pretrain"))
    (record,) = Ledger(storage).all()
    assert (record.outcome, record.epoch) == ("completed", TINY["epochs"])
    assert (storage / "mlflow.db").is_file()
    assert list((storage / "mlartifacts").rglob("MLmodel"))


def test_a_pause_is_reported_with_the_command_that_ends_it(shell, storage):
    file = write(shell, "my study.yaml", **STUDY)
    Ledger(storage).close()
    words = (file, "--set", "blocks=[3, 4]", "--storage", str(storage))
    texts = [
        shell.run("study", "pause", *words),
        shell.run("study", "run", *words, "--workers", "1", code=75),
        shell.run("study", "status", *words),
    ]
    for line in {only(text, "study resume") for text in texts}:
        # All of it is one command: with another verb it finds the same study.
        shown = shell.paste(line.replace(" resume ", " status ").replace(" --workers 1", ""))
        assert "paused" in shown
        assert line.endswith(f"--storage {shlex.quote(str(storage))}")


def test_data_that_are_missing_are_packed_and_looked_at_as_it_is_said(shell, storage, tmp_path):
    file = write(shell, "my study.yaml", **STUDY | {"data": {"name": "freihand"}})
    said = shell.run("study", "plan", file, "--no-measure", "--storage", str(storage), code=1)
    root = tmp_path / "root"
    sizes = [f"--set={one}" for one in ("pretrain=16", "probe=8", "select=8", "test=8")]
    shell.run("data", "write", "freihand", "--root", str(root), *sizes, "--set=image_px=64")
    packed = shell.paste(only(said, "data pack").replace("ROOT", str(root)))
    assert list((storage / "stores").glob("freihand-*/manifest.json"))
    shell.paste(only(packed, "data show"))


def test_a_service_names_the_command_that_makes_its_first_token(shell, storage):
    places = ["--ray", "http://127.0.0.1:9", "--mlflow", "http://127.0.0.1:9"]
    words = ["serve", "--host", "0.0.0.0", "--port", str(free_port()), *places]
    said = shell.run(*words, "--storage", str(storage), code=2)
    shell.paste(only(said, "token create").replace("NAME", "ada"))
    assert "ada\tsubmitter\tvalid" in shell.run("token", "list", "--storage", str(storage))


def test_commands_of_the_queue_ask_the_service_that_was_asked(shell, storage):
    file = write(shell, "my study.yaml", **smallest())
    with served(service(storage)) as url:
        said = shell.run("submit", file, "--service", url)
        name = said.partition(":")[0]
        shell.paste(only(said, "jobs logs"))
        lost = shell.run("jobs", "show", "j00000000000", "--service", url, code=2)
        assert name in shell.paste(only(lost, "jobs list"))
        process = shell.start("jobs", "wait", name, "--service", url)
        until(lambda: _asks(process.pid), process)
        process.send_signal(signal.SIGINT)
        stopped = ended(process, 130)
        shell.paste(only(stopped, "jobs show"))
        shell.paste(only(stopped, "jobs cancel"))
        shell.paste(only(stopped, "jobs wait"), code=3)


def _asks(pid: int) -> bool:
    """Say whether a process has a connection: it waits then."""
    return bool(psutil.Process(pid).net_connections())


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_study_is_stopped_paused_extended_and_shown_by_what_is_printed(shell, storage, request):
    file = write(shell, "my study.yaml", **STUDY | {"pretrain": TINY | {"epochs": 120}})
    words = (file, "--storage", str(storage))
    shell.run("study", "plan", *words, "--no-measure")
    first = shell.start("study", "run", *words, "--max-concurrent-trials", "1")
    request.addfinalizer(lambda: (first.kill(), first.stdout.close()))
    until(lambda: has_epoch(storage), first)
    busy = shell.run("study", "run", *words, code=69)
    assert "run by" in shell.paste(only(busy, "study status"))
    first.send_signal(signal.SIGTERM)
    go_on = only(ended(first, 75), "study run")
    paused = shell.run("study", "pause", *words)
    refused = shell.paste(go_on, code=75)
    assert only(refused, "study resume")
    shell.paste(only(paused, "study resume"))
    extended = shell.run("study", "extend", *words, "--seeds", "5", "--yes")
    report = shell.paste(only(extended, "study run"))
    records = Ledger(storage).all()
    assert sorted(record.block for record in records) == [1, 2, 5]
    assert {record.outcome for record in records} == {"completed"}
    page = re.search(r"^MLflow UI: (.*)$", report, re.MULTILINE)[1]
    port = free_port()
    ui = shell.open(f"exec {page} --port {port}")
    try:
        until(lambda: "mine" in _experiments(port), ui)
    finally:
        ui.terminate()
        ui.communicate(timeout=60)


def _experiments(port: int) -> str:
    import requests

    address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=9"
    try:
        return requests.get(address, timeout=5).text
    except requests.RequestException:
        return ""
