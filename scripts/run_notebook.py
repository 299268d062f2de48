"""Run the cells of a notebook in order and keep their outputs, without Jupyter.

.venv/bin/python scripts/run_notebook.py docs/first_steps.ipynb

Cells see one namespace and a working folder of their own, which is removed at the end. What a cell
prints is kept, and the value of its last expression as text (and as HTML, if it has that form).
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

Cell = dict[str, Any]


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook whose code cells have the outputs of a run.

    Args:
        notebook: Content of the file, nbformat 4.
    """
    names: dict[str, Any] = {"__name__": "notebook"}
    cells, number = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            number += 1
            cell = cell | {"execution_count": number, "outputs": _outputs(cell, names, number)}
        cells.append(cell)
    return notebook | {"cells": cells}


def _outputs(cell: Cell, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Run a cell; return what it prints and the value of its last expression."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        value = _value("".join(cell["source"]), names)
    found: list[dict[str, Any]] = []
    if text := printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": text.splitlines(True)})
    if value is not None:
        forms = {"text/plain": repr(value)}
        if html := getattr(value, "_repr_html_", lambda: None)():
            forms["text/html"] = html
        data = {kind: text.splitlines(True) for kind, text in forms.items()}
        result = {"output_type": "execute_result", "execution_count": number, "metadata": {}}
        found.append(result | {"data": data})
    return found


def _value(source: str, names: dict[str, Any]) -> Any:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)


def main(path: Path) -> None:
    """Run a notebook file and write it again with its outputs."""
    path, before = path.resolve(), Path.cwd()
    notebook = json.loads(path.read_text())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            done = run(notebook)
        finally:
            os.chdir(before)
    path.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
