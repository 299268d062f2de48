"""`handssl predict`: the joints of hands in photos."""

from __future__ import annotations

from pathlib import Path

import click

from handssl.cli.options import storage_option

model_option = click.option(
    "--model",
    metavar="RUN|FOLDER|FILE",
    help="A run of the storage by its id, `best` or `best:STUDY`; the folder of a trial; or a file "
    "of `handssl export`. Default: the small model that is part of handssl.",
)


class _Numbers(click.ParamType[tuple[float, ...]]):
    """Four numbers with commas between them."""

    name = "numbers"

    def __init__(self, names: str) -> None:
        self.names = names

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Return the numbers."""
        try:
            found = tuple(float(one) for one in str(value).split(","))
        except ValueError:
            found = ()
        if len(found) != 4:
            self.fail(f"expected four numbers {self.names}, got {value!r}", param, ctx)
        return found


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_option
@storage_option
@click.option(
    "--box",
    type=_Numbers("x,y,w,h"),
    metavar="X,Y,W,H",
    help="Box around the hand in pixels; default: the largest central square of the image.",
)
@click.option(
    "--side",
    type=click.Choice(["right", "left"]),
    default="right",
    show_default=True,
    help="Which hand it is; a left one is predicted on the mirror image.",
)
@click.option(
    "--camera",
    type=_Numbers("fx,fy,cx,cy"),
    metavar="FX,FY,CX,CY",
    help="Camera in pixels; default: assumed, as in the data of the model.",
)
@click.option(
    "--bone",
    type=float,
    metavar="MM",
    help="Distance from wrist to middle knuckle; default: the median of the data of the model.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each image.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for a .json, a .png and an .html of each image; default: ./handssl-predictions, "
    "with --json none.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def predict(
    images: tuple[Path, ...],
    model: str | None,
    storage: Path | None,
    box: tuple[float, float, float, float] | None,
    side: str,
    camera: tuple[float, float, float, float] | None,
    bone: float | None,
    as_json: bool,
    output: Path | None,
    quiet: bool,
) -> None:
    """Predict the 21 joints of the hand in each of IMAGES: photos, crops, or folders of them.

    For each image it writes the joints (pixels, 2.5D, mm relative to the wrist) as JSON, the photo
    with the skeleton, and a page in which the hand can be turned. What is not given is assumed and
    listed. An image that cannot be read is reported, and the others are predicted.

    \b
    Examples:
      handssl predict hand.jpg
      handssl predict photo.jpg --box 410,220,180,200 --side left --model best
      handssl predict crops/ --model 3f2a --json > joints.jsonl
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.predict import predict_all
    from handssl.execution.trained.models import open_model

    opened = open_model(model, storage)
    known = {"box": box, "side": side, "camera": camera, "bone_mm": bone}
    folder = output or (None if as_json else Path("handssl-predictions"))
    predict_all(opened, images, known, folder, as_json=as_json, quiet=quiet)
