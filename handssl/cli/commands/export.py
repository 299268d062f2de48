"""`handssl export` and `handssl embed`: a trained model, and its features, for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from handssl.cli.commands.predict import model_option
from handssl.cli.options import storage_option

_FORMATS = ("torchvision", "safetensors", "onnx")


@click.command()
@click.argument("run", metavar="RUN")
@storage_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(_FORMATS),
    default="safetensors",
    show_default=True,
    help="torchvision: state dict of resnet18; safetensors: encoder and read-out; onnx: both, from "
    "images to joints (needs the extra handssl[export]).",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; default: hand-RUN with the usual ending. The card is beside it, as .md.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export(run: str, storage: Path | None, layout: str, output: Path | None, as_json: bool) -> None:
    """Write the model of a RUN to a file, with a card that says what it is and how wrong.

    RUN is a trial by its id, the beginning of that or its MLflow run id, `best` or `best:STUDY`,
    the folder of a trial, or a file of an earlier export. What is exported is checked: ONNX by
    onnxruntime, all others by their digest when they are read.

    \b
    Examples:
      handssl export best --output encoder.safetensors
      handssl export 3f2a --format torchvision --output encoder.pth
      handssl export 3f2a --format onnx --output hand.onnx
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.execution.trained.models import open_model
    from handssl.inference.export import FORMATS, export_model

    model = open_model(run, storage, intervals=True, asked="RUN")
    path = output or Path(f"hand-{model.card.name[:12]}{FORMATS[layout].suffix}")
    found = export_model(model, layout, path)
    if as_json:
        values = {"model": str(found.path), "card": str(found.card), "how": found.how}
        click.echo(json.dumps(values | {"digest": model.facts.digest}, indent=2))
        return
    click.echo(f"model   {found.path}\n        {found.how}\ncard    {found.card}")


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
    from handssl.execution.trained.models import open_model

    embed_folder(open_model(model, storage), folder, side, output, quiet=quiet)
