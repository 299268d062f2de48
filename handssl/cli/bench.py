"""`handssl bench`: measurements, as ratios to what the machine can do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from handssl.bench.data import DataRates


@click.group()
def bench() -> None:
    """Measure how fast things are here, against what the machine can do."""


@bench.command("data")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where files are written: on the disk to be measured. Default: the temporary folder.",
)
@click.option("--images", default=1024, show_default=True, type=click.IntRange(64))
@click.option("--crops", default=16_384, show_default=True, type=click.IntRange(1024))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Also to a file.")
@click.option("--quiet", "-q", is_flag=True, help="No live progress; results only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def bench_data_command(
    folder: Path | None,
    images: int,
    crops: int,
    rounds: int,
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure packing, and reading shuffled batches from a cold and a warm store.

    \b
    Example:
      handssl bench data --markdown benchmarks/data.md
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.data import bench_data

    with _phases(quiet) as on_progress:
        rates = bench_data(
            *(folder or Path(gettempdir()),),
            images=images,
            crops=crops,
            rounds=rounds,
            on_progress=on_progress,
        )
    text = _text(rates)
    if markdown is not None:
        markdown.write_text(text, encoding="utf-8")
    click.echo(json.dumps(asdict(rates), indent=2) if as_json else text)


@bench.command("optim")
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1, 1000))
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Also to a file.")
@click.option("--quiet", "-q", is_flag=True, help="No live progress; results only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def bench_optim_command(rounds: int, markdown: Path | None, quiet: bool, as_json: bool) -> None:
    """Measure one update of ResNet-18 by every optimizer, against torch's AdamW.

    \b
    Example:
      handssl bench optim --markdown benchmarks/optim.md
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.optim import bench_optim, text

    with _phases(quiet) as on_progress:
        rates = bench_optim(rounds, on_progress=on_progress("updates"))
    page = text(rates)
    if markdown is not None:
        markdown.write_text(page, encoding="utf-8")
    document = {name: asdict(rate) for name, rate in rates.items()}
    click.echo(json.dumps(document, indent=2) if as_json else page)


@contextmanager
def _phases(quiet: bool) -> Iterator[Any]:
    """Give each phase a bar of its own."""
    from contextlib import ExitStack

    from handssl.cli.progress import progress_bar

    with ExitStack() as open_bars:

        def phase(name: str) -> Any:
            open_bars.close()
            return open_bars.enter_context(progress_bar(name, quiet=quiet))

        yield phase


def _text(rates: DataRates) -> str:
    from handssl.bench.environment import describe

    pack, limit = rates.packing["pack"], rates.packing["limit"]
    disk, memory = rates.reading["disk"], rates.reading["memory"]
    rows = [
        ("packing", pack, limit, "decode + one warp + write and fsync, all cores"),
        ("batch of 512, cold", rates.reading["cold"], disk, "the disk, end to end"),
        ("batch of 512, warm", rates.reading["warm"], memory, "memory copied"),
        (
            "batch of 512, warm, buffer used again",
            rates.reading["warm, buffer used again"],
            memory,
            "memory copied",
        ),
    ]
    lines = [
        "# Packing and reading",
        "",
        f"Written by `handssl bench data`: {rates.images:,} images of 224 px packed to crops of "
        f"{rates.crop_px} px ({rates.row_bytes:,} bytes each). Medians of rounds taken in turns.",
        "",
        describe(),
        "",
        "| | images/s | GB/s | share | of the limit | limit, images/s |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for name, rate, bound, what in rows:
        lines.append(
            f"| {name} | {rate.per_s:,.0f} | {rate.per_s * rates.row_bytes / 1e9:.2f} "
            f"| {rate.per_s / bound.per_s:.0%} | {what} | {bound.per_s:,.0f} |"
        )
    return "\n".join(lines) + "\n"
