"""A storage of an earlier version, moved and without its data: it is read and reported.

`tests/reference/storage_4006871.tar.xz` was written by `handssl study run kept.yaml` at commit
4006871 in another folder, and interrupted after 12 of 14 trials.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ARCHIVE = ROOT / "tests" / "reference" / "storage_4006871.tar.xz"
FINISHED = "select * from trials where outcome in ('completed', 'stopped') order by trial_id"


@pytest.fixture
def storage(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "runs"


def run(storage: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the storage as a user does."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "HANDSSL_HOME": str(storage)}
    command = [sys.executable, "-m", "handssl.cli", *words]
    return subprocess.run(
        command, env=env, cwd=storage.parent, capture_output=True, text=True, timeout=280
    )


def handssl(storage: Path, *words: str) -> str:
    """Return what a command on the storage prints."""
    done = run(storage, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(storage: Path, query: str = FINISHED) -> list[tuple[Any, ...]]:
    with sqlite3.connect(storage / "ledger.db") as connection:
        return connection.execute(query).fetchall()


def test_it_names_no_folder_of_the_machine_that_wrote_it_but_its_own(storage):
    size = ARCHIVE.stat().st_size
    assert size < 2 * 2**20
    texts = [file.read_bytes() for file in storage.rglob("*") if file.is_file()]
    assert any(b"/srv/handssl/runs" in text for text in texts)
    assert not any(b"/home/" in text or b"/work/" in text for text in texts)


def test_its_status_counts_the_trials_as_they_ended(storage):
    [stage] = json.loads(handssl(storage, "study", "status", "kept.yaml", "--json"))["stages"]
    assert stage["counts"] == {"completed": 7, "stopped": 5, "waiting": 2}


def test_its_report_has_the_recorded_values_and_names_the_trials_that_are_left(storage):
    before = rows(storage)
    document = json.loads(handssl(storage, "report", "--json"))
    shown = {one["trial_id"]: (one["outcome"], one["metrics"]) for one in document["trials"]}
    assert len(before) == 12
    assert all(shown[row[0]] == (row[7], json.loads(row[10])) for row in before)
    assert [(one["cell"], one["block"]) for one in document["missing"]["cells"]] == [
        ("contrastive rotate", 2),
        ("relative rotate", 2),
    ]
    assert rows(storage) == before


def test_running_it_says_how_to_plan_it_anew_and_leaves_it_as_it_is(storage):
    before = {file: file.read_bytes() for file in storage.rglob("*.safetensors")}
    finished = rows(storage)
    done = run(storage, "study", "run", "kept.yaml", "--quiet")
    assert done.returncode == 2, done.stderr
    assert "numerics version 2" in done.stderr and "handssl report kept" in done.stderr
    assert "study run STUDY.yaml --storage" in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(storage) == finished
    assert {file: file.read_bytes() for file in storage.rglob("*.safetensors")} == before
