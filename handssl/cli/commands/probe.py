"""`handssl probe`: fit the linear probe on a finished trial's encoder, and report or export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from handssl.cli.options import parse_changes

_SET = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change an option of the probe: views, lr, weight_decay, epochs, batch, seed.",
)
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
    help="Packed data to probe on; default: the data of the trial.",
)
@click.option(
    "--probe",
    "name",
    type=click.Choice(["ridge", "sgd", "head"]),
    help="ridge: closed form; sgd: the paper's Adam over a grid of rates and decays; head: the "
    "heatmap head, for encoders with maps. Default: head if the encoder has maps, else ridge.",
)
@click.option(
    "--augmentation",
    type=click.Choice(["off", "geometric"]),
    default="off",
    show_default=True,
    help="Also fit on transformed views; part of the protocol's id (_aug).",
)
@_SET
@click.option(
    "--export",
    "layout",
    type=click.Choice(["freihand"]),
    help="Also write predictions for the evaluation images, as FreiHAND's evaluation reads them.",
)
@click.option("--out", type=_FILE, default=Path("pred.json"), show_default=True, help="Or a .zip.")
@click.option(
    "--keep",
    is_flag=True,
    help="Keep it with the trial for `handssl predict` and `export`, in place of the kept one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def probe(
    trial: str,
    storage: Path | None,
    store: Path | None,
    name: str | None,
    augmentation: str,
    changes: tuple[str, ...],
    layout: str | None,
    out: Path,
    keep: bool,
    as_json: bool,
) -> None:
    """Probe the encoder of a finished TRIAL, given by its id or the start of it.

    The probe is fitted on the split probe, its free setting chosen on select; errors are reported
    for select and test, and for FreiHAND's evaluation images if the store has them. The encoder is
    frozen, the trial's own record is not changed, features are cached for the next probe.

    \b
    Examples:
      handssl probe 3f2a
      handssl probe 3f2a --probe sgd --set epochs=100
      handssl probe 3f2a --keep
      handssl probe 3f2a --store freihand --export freihand --out pred.zip
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.probe import (
        default_kind,
        export_freihand,
        keep_probe,
        print_errors,
        probe_trial,
    )
    from handssl.evaluation.config import ProbeConfig
    from handssl.execution.storage import resolve_storage

    root = resolve_storage(storage)
    kind = name or default_kind(trial, root)
    values = {"name": kind, "augmentation": augmentation, **parse_changes(changes)}
    config = ProbeConfig.parse(values, where="handssl probe")
    found = probe_trial(trial, root, store, config)
    document: dict[str, Any] = {
        "trial_id": found.trial_id,
        "probe_id": found.probe_id,
        "probe": config.model_dump(mode="json"),
        "chosen": found.chosen,
        "errors": found.errors,
    }
    if keep:
        document["kept"] = str(keep_probe(found))
    if layout is not None:
        document["export"] = export_freihand(found, out)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        print_errors(found)
        if keep:
            click.echo(f"kept         {document['kept']}")
        for name, value in document.get("export", {}).items():
            click.echo(f"{name:<12} {value}")
