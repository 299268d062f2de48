"""`handssl data`: pack a dataset, inspect and verify a store, write a procedural dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from handssl.cli.options import Group, parse_changes
from handssl.errors import DataError, InputError

_FOLDER = click.Path(file_okay=False, path_type=Path)
_STORAGE = click.option(
    "--storage",
    type=_FOLDER,
    help="Folder of the results; default: $HANDSSL_HOME, else ./handssl-runs.",
)
_CHANGES = click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="An option of the dataset."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_QUIET = click.option("--quiet", "-q", is_flag=True, help="No live progress; results only.")


@click.group(cls=Group)
def data() -> None:
    """Convert datasets on disk to packed stores, and inspect them.

    \b
    Datasets:
      freihand     folder with training/ and training_K.json, as unzipped
      interhand    folder with images/ and annotations/
      folder       images of hands without labels, with or without boxes
      npz          any labelled dataset, converted (docs/data.md has the schema)
    """  # noqa: D301  (click's mark for a block it must not wrap)


@data.command("pack")
@click.argument("name")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the dataset.")
@click.option("--out", type=_FOLDER, help="Folder of the store; default: stores/ of the storage.")
@click.option(
    "--crop-px", default=224, show_default=True, type=click.IntRange(16, 1024), help="Crop side."
)
@click.option(
    "--context",
    default=1.75,
    show_default=True,
    type=click.FloatRange(1, 4),
    help="Side of a crop in box sides; transformations move views within it.",
)
@click.option(
    "--crop",
    default="published",
    show_default=True,
    type=click.Choice(["published", "extent"]),
    help="Box around the joints: as published, or 1.25 times their extent.",
)
@click.option(
    "--max-damaged",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Damaged images that may be left out; they are counted and listed.",
)
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; default: one per core.")
@click.option("--dry-run", is_flag=True, help="Print size and time, and stop.")
@_CHANGES
@_STORAGE
@_QUIET
@_JSON
def pack_dataset(name: str, root: Path | None, changes: tuple[str, ...], **rest: Any) -> None:
    """Convert the dataset NAME once to the packed store that studies read.

    A packing that was interrupted or killed continues when the command is run again. If the dataset
    was incomplete or damaged, run it again too: images repaired, replaced or added since are
    packed, the rest is kept.

    \b
    Examples:
      handssl data pack freihand --root FreiHAND_pub_v2
      handssl data pack freihand --root FreiHAND_pub_v2 --set rule=published_90_10
      handssl data pack interhand --root InterHand2.6M --set cameras=colour --max-damaged 100
      handssl data pack folder --root my_crops --set boxes=boxes.csv

    \b
    Options of the datasets, with --set:
      freihand     rule=blocks|published_90_10  versions=[gs,hom,sample,auto]  evaluation_root=DIR
      interhand    cameras=all|colour|grey  complete=true  frames_every=N  cameras_every=N
      folder       boxes=FILE.csv  pattern=GLOB, e.g. session1/**/*.png
      npz          none; the arrays a .npz may hold are listed in docs/data.md
      all labelled  boxes=FILE.csv  cut crops around a detector's boxes (id,x,y,width,height)
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.packing import pack_and_tell
    from handssl.data import open_reader

    pack_and_tell(open_reader(name, root, **parse_changes(changes)), **rest)


@data.command()
@click.argument("store", type=click.Path(path_type=Path))
@_STORAGE
@_JSON
def info(store: Path, storage: Path | None, as_json: bool) -> None:
    """Describe a STORE: a folder, the name of a dataset, or the start of a fingerprint.

    \b
    Examples:
      handssl data info freihand
      handssl data info runs/stores/freihand-192-3f2a --json
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.packing import print_description
    from handssl.data.inspect import describe

    described = describe(_open(store, storage))
    if as_json:
        click.echo(json.dumps(described, indent=2))
    else:
        print_description(described)


@data.command()
@click.argument("store", type=click.Path(path_type=Path), required=False)
@click.option("--transformations", is_flag=True, help="Show transformations and pairs of views.")
@click.option(
    "--composition",
    default="color_jitter+rotate+scale+translate",
    show_default=True,
    help="With --transformations: those that are on together, for the table of targets.",
)
@click.option("--split", default="probe", show_default=True)
@click.option("--count", default=24, show_default=True, type=click.IntRange(1, 400))
@click.option("--seed", default=0, show_default=True, help="Seed of the choice of images.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A PNG file.")
@_STORAGE
def show(
    store: Path | None,
    transformations: bool,
    composition: str,
    split: str,
    count: int,
    seed: int,
    out: Path | None,
    storage: Path | None,
) -> None:
    """Draw a contact sheet of a STORE, with skeletons.

    With --transformations the sheet shows each transformation over its range, then pairs of views
    with their relative targets; without a STORE on procedural hands. The table below it gives the
    share of every target that two views leave unknown: 0 is known, 1 as bad as the best constant;
    for theta_b - theta_a of the transformation alone and together, and for targets between_views.

    \b
    Examples:
      handssl data show freihand --split select --out sheet.png
      handssl data show --transformations --out transformations.png
      handssl data show --transformations --composition rotate+translate
      handssl data show freihand --transformations
    """  # noqa: D301  (click's mark for a block it must not wrap)
    if transformations:
        from handssl.cli.options import composition_of
        from handssl.cli.views.transformations import unknown_text

        table = unknown_text(composition_of(composition))
        for line in _show_transformations(store, split, seed, out, storage):
            click.echo(line)
        click.echo(table)
        return
    from handssl.cli.views.packing import draw_sheet

    if store is None:
        raise InputError("expected a STORE to show, or --transformations, which needs none")
    opened = _open(store, storage)
    path = out or Path(f"{opened.folder.name}-{split}.png")
    draw_sheet(opened, split, count, seed, path)
    click.echo(path)


@data.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--root", type=click.Path(path_type=Path), help="Also compare with the dataset.")
@_CHANGES
@_STORAGE
@_QUIET
def verify(
    store: Path, root: Path | None, changes: tuple[str, ...], storage: Path | None, quiet: bool
) -> None:
    """Read every byte of a STORE and compare it with what was packed.

    With --root every image of the dataset is read and compared too, also those that were left out.
    Exit code 3 if anything differs.

    \b
    Examples:
      handssl data verify freihand
      handssl data verify freihand --root FreiHAND_pub_v2
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.terminal import progress_bar
    from handssl.data import open_reader
    from handssl.data.verify import verify as check

    opened = _open(store, storage)
    source = None
    if root is not None:
        source = open_reader(opened.manifest.dataset, root, **parse_changes(changes))
    with progress_bar("verifying", quiet=quiet) as on_progress:
        found = check(opened, source=source, on_progress=on_progress)
    if found:
        raise DataError("\n".join([f"{len(found)} difference(s):", *found]))
    click.echo(f"{opened.folder}: {opened.manifest.images:,} images, every byte as packed")


@data.command("write")
@click.argument("layout", type=click.Choice(["freihand", "interhand"]))
@click.option("--root", type=_FOLDER, required=True, help="The folder to create.")
@_CHANGES
@_QUIET
def write_imitation(layout: str, root: Path, changes: tuple[str, ...], quiet: bool) -> None:
    """Write procedural hands in the official LAYOUT of a dataset, for a dry run without it.

    \b
    Examples:
      handssl data write freihand --root try/freihand --set pretrain=500 --set versions=4
      handssl data write interhand --root try/interhand
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.packing import write_layout

    click.echo(write_layout(layout, root, parse_changes(changes), quiet=quiet))


def _show_transformations(
    store: Path | None, split: str, seed: int, out: Path | None, storage: Path | None
) -> list[str]:
    """Draw the sheet; return the lines to print, first the path."""
    from handssl.cli.views.transformations import draw_transformations, outside_words

    opened = None if store is None else _open(store, storage)
    named = "" if opened is None else f"{opened.folder.name}-"
    path = out or Path(f"{named}transformations.png")
    draw_transformations(opened, split, seed, path)
    return [str(path), *filter(None, [outside_words(opened, split, seed)])]


def _open(store: Path, storage: Path | None) -> Any:
    from handssl.data.stores import named_store
    from handssl.execution.storage import resolve_storage

    return named_store(store, resolve_storage(storage))
