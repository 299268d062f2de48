"""The file of rounds: continued where it ends, and summed up with what it cannot rule out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.__main__ import append, following, rows_of
from tests.faults.summary import summary, upper_bound

ROUND = {
    "date": "2026-11-30", "commit": "abc", "seed": 3, "kind": "raylet", "after_epochs": 5,
    "delay_s": 0.5, "seconds": 40.0, "exit_codes": "0", "longest_wait_s": 9.0, "lost": 0,
    "repeated": 0, "same_table": True, "left": 0, "error": "", "missed": False,
}  # fmt: skip


ROWS = ({}, {"kind": "gcs"}, {"same_table": False}, {"lost": 1}, {"missed": True})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "faults.csv"
    for number, changes in enumerate(ROWS):
        append(path, ROUND | {"round": number} | changes)
    return path


def test_a_file_is_continued_with_the_next_round_of_its_seed(file):
    kinds = ["driver", "raylet"]
    assert next(following(rows_of(file), 3, kinds)) == (5, "raylet")
    assert next(following(rows_of(file), 4, kinds)) == (0, "driver")


def test_rounds_are_counted_by_kind_with_those_that_failed(file):
    lines = summary(rows_of(file)).splitlines()
    assert lines[2] == "| raylet | 3 | 2 | 98% | 9 | 1 | 0 |"
    assert lines[3] == "| gcs | 1 | 0 | 95% | 9 | 0 | 0 |"


@pytest.mark.parametrize("rounds", [1, 4, 30, 100])
def test_the_bound_of_a_failure_rate_without_failures_is_that_of_the_textbook(rounds):
    assert upper_bound(0, rounds) == pytest.approx(1 - 0.05 ** (1 / rounds))


def test_the_command_prints_what_its_file_has(file):
    words = [sys.executable, "-m", "tests.faults", "--minutes", "0", "--file", str(file)]
    run = subprocess.run(
        words, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2]
    )
    assert (run.returncode, "| raylet | 3 | 2 |" in run.stdout) == (0, True), run.stderr
