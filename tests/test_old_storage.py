"""A storage of an earlier version, moved and without its data: it is read, reported and continued.

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

import mlflow
import pytest

ROOT = Path(__file__).parents[1]
ARCHIVE = ROOT / "tests" / "reference" / "storage_4006871.tar.xz"
FINISHED = "select * from trials where outcome in ('completed', 'stopped') order by trial_id"


@pytest.fixture
def storage(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "runs"


def handssl(storage: Path, *words: str) -> str:
    """Run a command on the storage as a user does; return what it prints."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "HANDSSL_HOME": str(storage)}
    command = [sys.executable, "-m", "handssl.cli", *words]
    done = subprocess.run(
        command, env=env, cwd=storage.parent, capture_output=True, text=True, timeout=280
    )
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


@pytest.mark.faults
def test_it_is_continued_where_it_was_and_no_finished_trial_is_run_again(storage):
    before = rows(storage)
    finished = {row[0] for row in before}
    files = {
        file: file.stat().st_mtime_ns
        for name in finished
        for file in (storage / "trials" / name).rglob("*")
        if file.is_file()
    }
    assert len(finished) == 12
    handssl(storage, "study", "run", "kept.yaml", "--quiet")
    assert [row for row in rows(storage) if row[0] in finished] == before
    assert len(rows(storage)) == 14
    assert {file: file.stat().st_mtime_ns for file in files} == files
    found = rows(storage, "select trial_id, kind, epoch from log where kind = 'reported'")
    assert len(found) == len(set(found))
    client = mlflow.MlflowClient(f"sqlite:///{storage / 'mlflow.db'}")
    [experiment] = [one for one in client.search_experiments() if one.name != "Default"]
    runs = client.search_runs([experiment.experiment_id], "tags.kind != 'study'")
    ids = [run.data.tags["trial_id"] for run in runs if "trial_id" in run.data.tags]
    assert len(ids) == len(set(ids))
    assert {row[0] for row in rows(storage)} <= set(ids)
