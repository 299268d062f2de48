"""Packing in the terminal: estimated size and time, a progress bar, then how to use the store."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from handssl.cli.views.terminal import progress_bar
from handssl.data.contact_sheet import sheet_of_crops, write_sheet
from handssl.data.crops import crop_sample
from handssl.data.inspect import describe
from handssl.data.manifest import FILE, Cropping, Manifest
from handssl.data.packing import pack, packed_bytes
from handssl.data.procedural import ProceduralSpec, write_freihand
from handssl.data.procedural.interhand_spec import InterhandTreeSpec
from handssl.data.procedural.interhand_tree import write_interhand
from handssl.data.stores import packing_place, search_command
from handssl.errors import DataError
from handssl.execution.storage import resolve_storage
from handssl.pose.crop_rules import CropRule
from handssl.runtime.shell_commands import command

if TYPE_CHECKING:
    from handssl.data import PackedStore, Reader

_TRIED = 48


def pack_and_tell(
    reader: Reader,
    *,
    out: Path | None,
    storage: Path | None,
    crop_px: int,
    context: float,
    crop: CropRule,
    max_damaged: int,
    workers: int | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Pack a dataset and describe the store.

    Args:
        reader: The dataset.
        out: Folder of the store; default: below the storage, named after dataset and recipe.
        storage: Root of all results.
        crop_px: Side of the crops in pixels.
        context: Side of a crop in box sides.
        crop: Box around labelled joints, `published` or `extent`.
        max_damaged: Maximum number of damaged images to leave out.
        workers: Number of processes; default: one per core.
        dry_run: Stop after printing size and time.
        quiet: No live progress.
        as_json: Print one JSON document at the end.
    """
    storage = resolve_storage(storage)
    cropping = Cropping(crop_px, context, crop)
    place = packing_place(reader, storage, cropping)
    folder = (out or place).expanduser().resolve()
    cores = workers or os.cpu_count() or 1
    known = Manifest.read(folder).fingerprint if (folder / FILE).is_file() else None
    if not known and not quiet:
        _announce(reader, folder, cropping, cores)
    if dry_run:
        return
    with progress_bar("packing", quiet=quiet) as on_progress:
        store = pack(
            reader,
            folder,
            crop_px=crop_px,
            context=context,
            crop=crop,
            workers=workers,
            max_damaged=max_damaged,
            on_progress=on_progress,
        )
    if known and known != store.manifest.fingerprint:
        _say_replaced(store, known)
    described = describe(store)
    if as_json:
        click.echo(json.dumps(described, indent=2))
    else:
        print_description(described)
        click.echo(_next_step(store, storage))


def _say_replaced(store: PackedStore, known: str) -> None:
    click.echo(
        f"{store.folder}: its sources have changed, so it was packed again: fingerprint "
        f"{known[:12]} is now {store.manifest.fingerprint[:12]}\n"
        "  Trials of the old data keep their results; a study that names the old fingerprint no "
        "longer finds it.",
        err=True,
    )


def _announce(reader: Reader, folder: Path, cropping: Cropping, workers: int) -> None:
    size = packed_bytes(len(reader), cropping.crop_px)
    existing = next(path for path in folder.parents if path.exists())
    free = shutil.disk_usage(existing).free
    seconds = _seconds_an_image(reader, cropping) * len(reader) / workers
    click.echo(
        f"{reader.name}: {len(reader):,} images, crops of {cropping.crop_px} px "
        f"({cropping.context:g} box sides)\n"
        f"  to    {folder}\n"
        f"  size  {size / 1e9:.2f} GB ({free / 1e9:.0f} GB free)\n"
        f"  time  about {_duration(seconds)} on {workers} core{'s' if workers > 1 else ''}",
        err=True,
    )
    for note in getattr(reader, "notes", ()):
        click.echo(f"  note  {note}", err=True)


def _seconds_an_image(reader: Reader, cropping: Cropping) -> float:
    """Measure the time per image on some crops, spread over the dataset."""
    tried = np.linspace(0, len(reader) - 1, min(_TRIED, len(reader))).astype(int).tolist()
    start_s = time.perf_counter()
    for position in tried:
        try:
            crop_sample(reader[position], *cropping)
        except DataError:
            continue  # packing will report it, or leave it out
    return (time.perf_counter() - start_s) / len(tried)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _next_step(store: PackedStore, storage: Path) -> str:
    manifest = store.manifest
    labelled = set(manifest.splits) >= {"probe", "select", "test"}
    named = {"name": manifest.dataset, "fingerprint": manifest.fingerprint[:12]}
    data = yaml.safe_dump(named, default_flow_style=True, sort_keys=False).strip()
    if not labelled:
        data = f"{{name: freihand, pretrain: {data}}}   # labels come from a labelled store"
    lines = ["", "In a study:", f"  data: {data}", "Run the study:"]
    if store.folder.parent != storage / "stores":
        lines.append(f"  {search_command(store.folder)}")
    lines.append(f"  {command('study', 'run', 'STUDY.yaml', storage=storage)}")
    return "\n".join([*lines, "View the store:", f"  {command('data', 'show', store.folder)}"])


def print_description(described: dict[str, Any]) -> None:
    """Print the result of `describe` as text."""
    console = Console()
    share = 100 * described["outside_share"]
    lines = {
        "store": described["folder"],
        "dataset": described["dataset"],
        "fingerprint": described["fingerprint"],
        "images": f"{described['images']:,} ({described['bytes'] / 1e9:.2f} GB)",
        "crops": f"{described['crop_px']} px, {described['context']:g} box sides, "
        f"{share:.1f} % outside their images",
        "left hands": f"{described['mirrored']:,}, mirrored",
        "damaged": f"{described['damaged']:,}"
        + (", see damaged.txt" if described["damaged"] else ""),
        "splits by": described["split_rule"],
    }
    for name, value in lines.items():
        click.echo(f"{name:<12} {value}")
    for note in described["notes"]:
        click.echo(f"{'note':<12} {note}")
    console.print(_splits(described))
    if "ranges" in described:
        console.print(_ranges(described["ranges"]))


def _splits(described: dict[str, Any]) -> Table:
    table = Table("split", box=None, header_style="bold", pad_edge=False)
    table.add_column("images", justify="right")
    table.add_column("groups", justify="right")
    for name, count in described["splits"].items():
        table.add_row(name, f"{count:,}", f"{described['groups'][name]:,}")
    return table


def _ranges(ranges: dict[str, list[float]]) -> Table:
    table = Table("measure", box=None, header_style="bold", pad_edge=False)
    for name in ("least", "median", "largest"):
        table.add_column(name, justify="right")
    for name, values in ranges.items():
        table.add_row(name, *(f"{value:,.4g}" for value in values))
    return table


def draw_sheet(store: PackedStore, split: str, count: int, seed: int, path: Path) -> None:
    """Write a contact sheet of random crops of a split."""
    packed = store.split(split)  # type: ignore[arg-type]  # it reports an unknown split
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(packed))[:count])
    uv = packed.label("uv")[chosen] if store.manifest.labelled else None
    image = sheet_of_crops(
        packed.crops(chosen).permute(0, 2, 3, 1).numpy(),
        uv,
        packed.label("valid")[chosen],
        [f"id {sample}" for sample in packed.label("ids")[chosen]],
        store.manifest.context,
    )
    write_sheet(path, image)


def write_layout(layout: str, root: Path, changes: dict[str, Any], *, quiet: bool) -> Path:
    """Write procedural hands in an official layout; return the root."""
    with progress_bar("rendering", quiet=quiet) as on_progress:
        workers = os.cpu_count() or 1
        if layout == "interhand":
            spec = InterhandTreeSpec.parse(changes)
            return write_interhand(root, spec, workers=workers, on_progress=on_progress)
        small = {"pretrain": 200, "probe": 100, "select": 50, "test": 50, "image_px": 224}
        return write_freihand(
            root, ProceduralSpec.parse(small | changes), workers=workers, on_progress=on_progress
        )
