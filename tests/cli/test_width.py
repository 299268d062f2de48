"""Tables and plans on a terminal of 80 columns."""

from __future__ import annotations

import re
import time

import pytest
from rich.console import Console

from handssl.cli.commands.study_compare import print_cells
from handssl.cli.views.jobs import table
from handssl.cli.views.terminal import folded, folded_label
from handssl.tracking.comparison import ComparedCell

SEVEN = "blur+color_jitter+cutout+noise+rotate+sobel+translate"
LONGEST = f"mixed {SEVEN} (color_jitter+rotate+translate)"


def job(number, study, state, user, **more):
    known = {"position": None, "wanted": None, "queue": "default", "priority": 0}
    return {"id": f"{number}f3ac91b", "study": study, "state": state, "user": user} | known | more


def lines(shown: str) -> list[str]:
    assert all(len(line) <= 80 for line in shown.splitlines())
    return [line.rstrip() for line in shown.splitlines()]


def test_a_list_of_jobs_has_a_line_for_each_job(capsys):
    jobs = [
        job(0, "paper-freihand", "running", "spurr", submitted_s=time.time()),
        job(1, "compositions", "waiting", "zimmermann", submitted_s=time.time(), position=3),
    ]
    Console(width=80).print(table(jobs))
    head, *rows = lines(capsys.readouterr().out)
    assert head.split() == ["job", "study", "state", "user", "queue", "priority", "submitted"]
    assert len(rows) == 2 and rows[1].startswith("1f3ac91b compositions")
    assert "waiting, place 3" in rows[1]


@pytest.mark.parametrize("stage", ["compositions", "hyperparameters"])
def test_the_longest_label_is_folded_between_its_words(stage, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    errors = ("median_mm", "aligned_median_mm", "test_median_mm", "test_aligned_median_mm")
    metrics = dict.fromkeys(errors, 136.1) | {"median_mm_sd": 10.5, "blocks_completed": 3}
    cell = ComparedCell("r", LONGEST, stage, "mixed", metrics, {"protocol": "root_gtroot_20"})
    print_cells((cell,))
    found = lines(capsys.readouterr().out)
    # Between the errors and the label there are two spaces at least, below it only the label.
    parts = [re.split(r"  +", line.removeprefix("1 ").strip())[0] for line in found[2:]]
    label = " ".join(parts[: parts.index(next(p for p in parts if p.startswith("Errors")))])
    assert label.replace("+ ", "+") == LONGEST
    assert "136.1" in found[2] and stage in found[2]


def test_a_label_is_folded_after_a_plus_and_never_within_a_word():
    parts = folded_label(LONGEST, 26).splitlines()
    assert all(len(part) <= 26 for part in parts)
    assert {word for part in parts for word in re.findall(r"\w+", part)} == {
        *re.findall(r"\w+", LONGEST)
    }


def test_a_line_with_a_command_is_never_folded():
    command = "  limit the checkpoints with: handssl study run paper --checkpoint-bytes 20GB"
    assert folded(command, 40) == command
    text = folded("  two cells of a study apart need so many blocks that it is too dear", 40)
    assert text.splitlines()[1].startswith("    ") and max(map(len, text.splitlines())) <= 40
