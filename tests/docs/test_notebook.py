"""docs/first_steps.ipynb has the outputs of a run, and still runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs" / "first_steps.ipynb"
RUN = ROOT / "scripts" / "run_notebook.py"


def code_cells(path: Path) -> list[dict]:
    return [one for one in json.loads(path.read_text())["cells"] if one["cell_type"] == "code"]


def output(cell: dict) -> str:
    """Return what a cell has printed, and the value of its last expression as text."""
    texts = [one.get("text") or one["data"]["text/plain"] for one in cell["outputs"]]
    return "\n".join("".join(text) for text in texts)


def test_it_is_a_notebook_whose_cells_were_run_once_in_their_order():
    notebook = json.loads(PATH.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    cells = code_cells(PATH)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(one["outputs"] for one in cells)
    kinds = {one["output_type"] for cell in cells for one in cell["outputs"]}
    assert kinds <= {"stream", "execute_result"}
    for cell in cells:
        compile("".join(cell["source"]), cell["id"], "exec")


def test_it_shows_table_report_and_encoder():
    study, table, report, encoder = (output(cell) for cell in code_cells(PATH))
    cells = re.findall(r"'(\w+ \w+)'", study)
    assert len(cells) == 2
    assert all(table.count(cell) == 2 for cell in cells)  # two seeds
    assert report.startswith("# Study objectives\n")
    assert "undecided" in report
    assert re.search(r"\(4, 64\)", encoder)


def test_it_names_no_folder_of_a_machine():
    assert not re.search(r"/(home|work|tmp|root|srv|mnt|Users)\b", PATH.read_text())


@pytest.mark.faults
def test_its_cells_run_and_give_outputs_of_the_same_form(tmp_path):
    copy = tmp_path / PATH.name
    copy.write_text(PATH.read_text())
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, RUN, copy], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for kept, new in zip(code_cells(PATH), code_cells(copy), strict=True):
        assert form(output(new)) == form(output(kept)), kept["id"]


def form(text: str) -> list[str]:
    """Return the words of a table, or of another text: numbers depend on the machine."""
    lines = [line for line in text.splitlines() if line.startswith("|")] or text.splitlines()
    return sorted(set(re.findall(r"[a-z_]{3,}", "\n".join(lines))))
