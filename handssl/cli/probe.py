"""`handssl probe`: fit the linear probe on a finished trial's encoder, and report or export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("trial")
@click.option(
    "--storage",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results; default: $HANDSSL_HOME, else ./handssl-runs.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Packed data to probe on; default: what the trial was trained with.",
)
@click.option(
    "--export",
    "layout",
    type=click.Choice(["freihand"]),
    help="Also write predictions for the evaluation images, as FreiHAND's evaluation reads them.",
)
@click.option("--out", type=_FILE, default=Path("pred.json"), show_default=True, help="Or a .zip.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def probe(
    trial: str,
    storage: Path | None,
    store: Path | None,
    layout: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Probe the encoder of a finished TRIAL: its id, or the start of it.

    The ridge probe is fitted on the split probe, lambda chosen on select; errors are told for
    select and test, and for FreiHAND's evaluation images where the store has them. The trial's
    own record stays as it is.

    \b
    Examples:
      handssl probe 3f2a
      handssl probe 3f2a --store freihand --export freihand --out pred.zip
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.probing import export_freihand, print_errors, probe_trial
    from handssl.sweep.storage import resolve_storage

    found = probe_trial(trial, resolve_storage(storage), store)
    document: dict[str, Any] = {"trial_id": found.trial_id, "errors": found.errors}
    if layout is not None:
        document["export"] = export_freihand(found, out)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        print_errors(found)
        for name, value in document.get("export", {}).items():
            click.echo(f"{name:<12} {value}")
