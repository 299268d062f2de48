"""`handssl report`: table and page of the results in a storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handssl.errors import InputError

if TYPE_CHECKING:
    from handssl.report.formats.writing import FormatName
    from handssl.report.study_report import StudyReport


@click.command()
@click.argument("storage", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--study", "name", help="Name of the study; needed if the storage holds several.")
@click.option(
    "--from-mlflow",
    metavar="URI",
    help="Read the study from this MLflow store alone, without a ledger; needs --study. STORAGE "
    "is where the page is written.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "markdown", "latex", "csv"]),
    help="Write this format alone, and print its path: the page; Markdown; tables for LaTeX "
    "(package booktabs); one line of CSV per trial with all metrics.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the format; default: STUDY.html, .md, .tex or .csv in the storage. - prints it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def report(
    storage: Path | None,
    name: str | None,
    from_mlflow: str | None,
    form: FormatName | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """Print the table of a finished or interrupted study in STORAGE and write its page.

    \b
    Examples:
      handssl report
      handssl report runs/order --study demo-order
      handssl report runs/order --format latex --output table.tex
      handssl report runs/order --format csv --output - | head
      handssl report --from-mlflow http://mlflow:5000 --study demo-order
    """  # noqa: D301  (click's mark for a block it must not wrap)
    import json

    from rich.console import Console

    from handssl.cli.views.summary import read_report, summarise_report
    from handssl.execution.storage import resolve_storage

    folder = resolve_storage(storage)
    found = _from_mlflow(from_mlflow, name, folder) if from_mlflow else read_report(folder, name)
    if form or output:
        if as_json:
            raise InputError("--json prints all results; leave out --format and --output with it")
        _write(found, form or _form_of(output), output)
        return 0
    summary = summarise_report(found)
    if as_json:
        click.echo(json.dumps(summary.document, indent=2))
        return 0
    Console().print(summary.table)
    for line in summary.lines:
        click.echo(line)
    return 0


def _from_mlflow(uri: str, name: str | None, folder: Path) -> StudyReport:
    from handssl.report.from_mlflow import report_from_mlflow

    if name is None:
        raise InputError("--from-mlflow: expected --study NAME, the name of the experiment")
    return report_from_mlflow(uri, name, folder)


def _form_of(output: Path | None) -> FormatName:
    """Return the format that the name of the output file asks for."""
    from handssl.report.formats.writing import FORMATS

    suffix = output.suffix if output else ""
    found: list[FormatName] = [name for name, one in FORMATS.items() if one.suffix == suffix]
    if not found:
        known = ", ".join(one.suffix for one in FORMATS.values())
        raise InputError(f"--output {output}: expected {known}, or a format by --format")
    return found[0]


def _write(found: StudyReport, form: FormatName, output: Path | None) -> None:
    from handssl.report.formats.writing import FORMATS, write

    if output == Path("-"):
        click.echo(FORMATS[form].render(found), nl=False)
    else:
        click.echo(write(found, output, form))
