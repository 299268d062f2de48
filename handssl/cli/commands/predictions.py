"""`handssl predictions`: errors of single hands and joints from the predictions of a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handssl.cli.options import Group

_STORAGE = click.option(
    "--storage",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results; default: $HANDSSL_HOME, else ./handssl-runs.",
)
_STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Packed data with the labels; default: the data of the trial.",
)
_SPLIT = click.option(
    "--split", type=click.Choice(["select", "test"]), default="test", show_default=True
)
_PROTOCOL = click.option(
    "--protocol",
    default="root_gtroot_20",
    show_default=True,
    metavar="ID",
    help="Protocol of the errors: root_gtroot_20 (primary), abs_gtroot_21, abs_recovered_21, "
    "root_recovered_20, pa_21 (after Procrustes alignment), px_21, or an official one, e.g. "
    "freihand_21.",
)


@click.group(cls=Group)
def predictions() -> None:
    """Errors of single hands and joints, from the predictions that every completed trial keeps.

    A completed trial, and every reference, keeps the poses that its ridge probe predicts for the
    splits select and test after the last epoch, in trials/ID/predictions.npz of the storage. All
    errors are computed from them: under other protocols, per joint, per hand, without training.

    \b
    Examples:
      handssl predictions show 3f2a
      handssl predictions show 3f2a --protocol pa_21 --split select
      handssl predictions export 3f2a --out errors.csv
      handssl predictions make
    """  # noqa: D301  (click's mark for a block it must not wrap)


@predictions.command()
@click.argument("trial")
@_STORAGE
@_STORE
@_SPLIT
@_PROTOCOL
@click.option("--hands", default=3, show_default=True, help="Hands listed at either end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(trial: str, hands: int, as_json: bool, **options: Any) -> None:
    """Print the errors of a TRIAL per joint, its PCK, and its best and worst hands.

    TRIAL is its id or the start of it. PCK is the share of joints with at most that error, AUC the
    mean of that share from 0 to 50 mm. Hands are named by their sample ids.

    \b
    Examples:
      handssl predictions show 3f2a
      handssl predictions show 3f2a --protocol pa_21 --hands 10
    """  # noqa: D301
    import json

    from handssl.cli.views.predictions import document, print_errors, read

    kept, errors = read(trial, **options)
    if as_json:
        click.echo(json.dumps(document(kept, errors, options["split"], hands), indent=2))
    else:
        print_errors(document(kept, errors, options["split"], hands))


@predictions.command()
@click.argument("trial")
@_STORAGE
@_STORE
@_SPLIT
@_PROTOCOL
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write; its ending says what: .csv, .json or .npz.",
)
def export(trial: str, out: Path, **options: Any) -> None:
    """Write the errors of a TRIAL for every hand and joint to a .csv, .json or .npz file.

    A row of the .csv is a hand: sample id, group (subject, recording or frame), and the error of
    each joint, empty where it does not count. The .json has the same rows as lists, with the
    protocol and its unit. The .npz also has the predictions: uv in box sides from the centre of the
    crop, z in lengths of the bone wrist to middle_mcp.

    \b
    Examples:
      handssl predictions export 3f2a --out errors.csv
      handssl predictions export 3f2a --split select --protocol pa_21 --out errors.npz
    """  # noqa: D301
    from handssl.cli.views.predictions import read, write

    kept, errors = read(trial, **options)
    write(kept, errors, options["split"], out)
    click.echo(f"{len(errors.ids):,} hands, {len(errors.joints)} joints: {out}")


@predictions.command()
@click.argument("trials", nargs=-1)
@_STORAGE
def make(trials: tuple[str, ...], storage: Path | None) -> None:
    """Make the predictions of completed TRIALS that an earlier version left without them.

    Without TRIALS, of all completed trials and references in the storage. The probe of a trial is
    kept too. It fits the ridge probe
    on the encoder of each once more, as after its last epoch, and trains nothing. Records and
    logged errors stay as they are.

    \b
    Examples:
      handssl predictions make
      handssl predictions make 3f2a 81c0 --storage runs/first
    """  # noqa: D301
    from handssl.execution.storage import resolve_storage
    from handssl.execution.trained.predictions import make_predictions

    count = 0
    for record, done in make_predictions(trials, resolve_storage(storage)):
        click.echo(f"{record.trial_id}  {record.cell}, seed {record.block}: {done}")
        count += 1
    if not count:
        click.echo("every completed trial has its predictions")
