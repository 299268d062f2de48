"""The formats of a report: what is written can be read back, and holds the same numbers."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest

from handssl.cli.app import invoke
from handssl.errors import InputError
from handssl.report.formats.latex import escape, latex
from handssl.report.formats.trials_csv import trials_csv
from handssl.report.formats.writing import FORMATS, write
from handssl.report.of_study import write_report
from handssl.report.rows import row_of
from handssl.stats.skeleton import subsets
from tests.report.made_up import page_of, report_of
from tests.report.test_effects_of_rows import PLANNED, grid
from tests.report.test_report import result_in, save

EVIL = r"50 % of a_b & c#1 {x}~$y^2 \input{z} <é…>"
KNOWN = {"begin", "end", "centering", "caption", "label", "resizebox", "ifdim", "width", "else"}
KNOWN |= {"linewidth", "fi", "toprule", "midrule", "bottomrule", "multicolumn", "textit", "ldots"}
KNOWN |= {"textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater"}


def tokens(source: str) -> list[str]:
    """Return commands, escaped characters and characters of LaTeX source."""
    return re.findall(r"\\[A-Za-z]+|\\.|.", source, re.DOTALL)


def without_comments(text: str) -> str:
    return re.sub(r"(?<!\\)%.*", "", text)


def tables_of(text: str) -> list[list[list[str]]]:
    """Return the cells of each tabular; fails on source that TeX would refuse."""
    text = without_comments(text)
    assert text.isascii()
    depth = 0
    for token in tokens(text):
        assert not re.match(r"\\[A-Za-z]", token) or token[1:] in KNOWN, token
        assert token not in ("#", "^", "_", "~", "$"), token
        depth += (token == "{") - (token == "}")
        assert depth >= 0
    assert depth == 0
    environments = re.findall(r"\\(begin|end)\{(\w+)\}", text)
    stack: list[str] = []
    for what, name in environments:
        stack.append(name) if what == "begin" else None
        assert what == "begin" or stack.pop() == name
    assert stack == []
    found = re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    return [_rows(body, len(columns)) for columns, body in found]


def _rows(body: str, columns: int) -> list[list[str]]:
    lines = re.sub(r"\\(top|mid|bottom)rule\n", "", body).strip().splitlines()
    assert all(line.endswith(r"\\") for line in lines)
    rows = [re.split(r"(?<!\\)&", line.removesuffix(r"\\")) for line in lines]
    for row in rows:
        spans = re.match(r"\\multicolumn\{(\d+)\}", row[0])
        assert (int(spans[1]) if spans else len(row)) == columns
    return [[cell.strip() for cell in row] for row in rows]


def test_latex_is_read_back_with_the_numbers_of_the_table(three_blocks):
    (table,) = tables_of(latex(report_of(three_blocks)))
    best = next(row for row in table if row[:2] == ["rotate", "relative"])
    expected = 62.0 + (0.8 - 0.7) * 1.6 / 3
    assert float(best[2]) == pytest.approx(expected, abs=0.05)
    assert len(table) == 1 + 16 + 1


def test_effects_are_a_table_of_latex_with_their_intervals():
    found = report_of(grid(1, 2), planned=PLANNED)
    effects, _ = tables_of(latex(found))
    assert len(effects) == 1 + len(found.effects.effects)
    number = r"[+-]\d+\.\d\d"
    words = rf"{number} mm \(these seeds exact; seeds in general {number} to {number}, Holm p .*\)"
    assert re.fullmatch(words, effects[1][1])


def test_everything_in_latex_is_escaped(rows):
    row = replace(rows[-1], label=EVIL, composition=EVIL, objective="contrastive")
    text = latex(report_of([*rows[:-1], row], EVIL))
    tables_of(text)
    assert r"\input" not in tokens(without_comments(text))
    plain = escape(EVIL).replace(r"\%", "%").replace(r"\_", "_")
    assert plain.startswith("50 % of a_b ")


def test_csv_has_a_line_for_each_trial_with_every_metric_to_the_last_digit(tmp_path):
    metrics = {"median_mm": 61.123456789012345, "diag/invariance/rotate": 0.1, "train/loss": 1e-9}
    records = [
        save(tmp_path, n, "contrastive").model_copy(update={"metrics": metrics, "block": n})
        for n in (1, 2)
    ]
    found = report_of([row_of(one) for one in records], records=tuple(records))
    lines = list(csv.DictReader(io.StringIO(trials_csv(found))))
    assert [line["trial_id"] for line in lines] == [one.trial_id for one in records]
    assert [line["block"] for line in lines] == ["1", "2"]
    for line in lines:
        assert {name: float(line[name]) for name in metrics} == metrics
        assert (line["cell"], line["outcome"]) == ("contrastive rotate", "completed")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_written_by_the_function_and_by_the_command(tmp_path, capsys, form):
    result = result_in(tmp_path)
    path = write_report(result, format=form)
    assert path == tmp_path / f"demo{FORMATS[form].suffix}"
    assert "contrastive" in path.read_text()
    asked = tmp_path / f"other{FORMATS[form].suffix}"
    assert invoke(["report", str(tmp_path), "--output", str(asked)]) == 0
    assert capsys.readouterr().out == f"{asked}\n"
    assert asked.read_text()[:40] == path.read_text()[:40]


def test_a_format_can_be_printed(tmp_path, capsys):
    result_in(tmp_path)
    assert invoke(["report", str(tmp_path), "--format", "csv", "--output", "-"]) == 0
    assert len(list(csv.DictReader(io.StringIO(capsys.readouterr().out)))) == 2


def test_unknown_formats_are_one_message(tmp_path, capsys):
    result_in(tmp_path)
    assert invoke(["report", str(tmp_path), "--output", "table.docx"]) == 2
    assert "expected .html, .md, .tex, .csv, or a format by --format" in capsys.readouterr().err
    with pytest.raises(InputError, match="expected html, markdown, latex, csv, got 'docx'"):
        write(report_of(), tmp_path / "x", "docx")


def test_a_page_of_many_cells_shows_the_best_and_all_references(rows):
    names = ["+".join(one) for one in sorted(subsets("abcde"), key=len)[1:31]]
    trials = [
        replace(rows[6], label=f"contrastive {name}", composition=name, median_mm=60.0 + n)
        for n, name in enumerate(names)
    ]
    shown, _, folded = page_of([*rows[:6], *trials]).partition("<details><summary>10 more cells")
    assert folded
    table = shown.partition("<table")[2]
    wrapped = [f">{name.replace('+', '+<wbr>')}<" for name in names]
    assert [name in table for name in wrapped] == [n < 20 for n in range(30)]
    assert all(row.label in table for row in rows[:6])
    assert wrapped[25] in folded.partition("</table>")[0]


def test_the_best_cell_stands_with_its_trials_weights_and_commands(tmp_path, capsys):
    result = result_in(tmp_path)
    best = result.records[0]
    weights = tmp_path / "trials" / best.trial_id / "encoder.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    assert invoke(["report", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"Weights:   {weights}" in out
    for text in (out, (tmp_path / "demo.html").read_text()):
        assert best.trial_id in text
        assert f"probe {best.trial_id} --storage {tmp_path}" in text
        assert f"study compare demo --storage {tmp_path}" in text
