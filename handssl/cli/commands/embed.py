"""`handssl embed`: features of all images of a folder."""

from __future__ import annotations

from pathlib import Path

import click

from handssl.cli.commands.predict import model_option
from handssl.cli.options import storage_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@model_option
@storage_option
@click.option(
    "--side",
    type=click.Choice(["right", "left"]),
    default="right",
    show_default=True,
    help="Which hands they are; left ones are mirrored.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("features.npz"),
    show_default=True,
    help="File to write; its ending says what: .npz or .parquet.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def embed(
    folder: Path, model: str | None, storage: Path | None, side: str, output: Path, quiet: bool
) -> None:
    """Write the features of every image in FOLDER, the largest central square of each.

    The .npz has `features` float32 (N, dim), `files` (N) and `digest`, that of the encoder; the
    .parquet has a row for each image: `file`, and the columns f0, f1, ... An image that cannot be
    read is left out and reported.

    \b
    Examples:
      handssl embed crops/ --model best
      handssl embed crops/ --model 3f2a --output features.parquet
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.embed import embed_folder
    from handssl.execution.trained_models import open_model

    embed_folder(open_model(model, storage), folder, side, output, quiet=quiet)
