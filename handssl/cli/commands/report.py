"""`handssl report`: table and page of the results in a storage."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("storage", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--study", "name", help="Name of the study; needed if the storage holds several.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def report(storage: Path | None, name: str | None, as_json: bool) -> int:
    """Print the table of a finished or interrupted study in STORAGE and write its page.

    \b
    Examples:
      handssl report
      handssl report runs/order --study demo-order
    """  # noqa: D301  (click's mark for a block it must not wrap)
    import json

    from rich.console import Console

    from handssl.cli.views.summary import summarise_storage
    from handssl.execution.storage import resolve_storage

    summary = summarise_storage(resolve_storage(storage), name)
    if as_json:
        click.echo(json.dumps(summary.document, indent=2))
        return 0
    Console().print(summary.table)
    for line in summary.lines:
        click.echo(line)
    return 0
