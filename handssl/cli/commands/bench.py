"""`handssl bench`: measurements, as ratios to the limits of the machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import click

from handssl.cli.options import Group, composition_of
from handssl.errors import InputError


@click.group(cls=Group)
def bench() -> None:
    """Measure the speed of handssl on this machine, relative to the machine's limits."""


def outputs(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options common to all measurements to a command."""
    file = click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option("--quiet", "-q", is_flag=True, help="No live progress; results only."),
        click.option("--markdown", type=file, help="Also write the results to this file."),
    ):
        command = option(command)
    return command


@bench.command("data")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where files are written: on the disk to be measured. Default: the temporary folder.",
)
@click.option("--images", default=1024, show_default=True, type=click.IntRange(64))
@click.option("--crops", default=16_384, show_default=True, type=click.IntRange(1024))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100))
@outputs
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
    from handssl.bench.data import bench_data, text

    with phases(quiet) as on_progress:
        rates = bench_data(
            folder or Path(gettempdir()),
            images=images,
            crops=crops,
            rounds=rounds,
            on_progress=on_progress,
        )
    deliver(asdict(rates), text(rates), markdown, as_json=as_json)


@bench.command("augment")
@click.option("--images", default=256, show_default=True, type=click.IntRange(8), help="A batch.")
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1, 100))
@click.option(
    "--composition",
    "compositions",
    multiple=True,
    help="Composition to measure, e.g. rotate+translate; may be repeated. Default: all "
    "transformations, and color_jitter+rotate+translate.",
)
@outputs
def bench_augment_command(
    images: int,
    rounds: int,
    compositions: tuple[str, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure the speed of making views, against other libraries and the bare OpenCV calls.

    \b
    Example:
      handssl bench augment --markdown benchmarks/augment.md
      handssl bench augment --composition rotate --rounds 3
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.augment import COMPOSITIONS, bench_augment, text

    chosen = [composition_of(name) for name in compositions]
    with phases(quiet) as on_progress:
        rates = bench_augment(
            images=images,
            rounds=rounds,
            compositions=chosen or COMPOSITIONS,
            on_progress=on_progress,
        )
    deliver(asdict(rates), text(rates), markdown, as_json=as_json)


def deliver(document: Any, text: str, markdown: Path | None, *, as_json: bool) -> None:
    """Print the results, and write them to a file if requested."""
    if markdown is not None:
        markdown.write_text(text, encoding="utf-8")
    click.echo(json.dumps(document, indent=2) if as_json else text)


@bench.command("optim")
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1, 1000))
@outputs
def bench_optim_command(rounds: int, markdown: Path | None, quiet: bool, as_json: bool) -> None:
    """Measure one update of ResNet-18 by every optimizer, against torch's AdamW.

    \b
    Example:
      handssl bench optim --markdown benchmarks/optim.md
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.optim import bench_optim, text

    with phases(quiet) as on_progress:
        rates = bench_optim(rounds, on_progress=on_progress("updates"))
    document = {name: asdict(rate) for name, rate in rates.items()}
    deliver(document, text(rates), markdown, as_json=as_json)


@bench.command("train")
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="As for pretrain.")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="torch.compile the encoder.")
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads on the CPU."
)
@click.option("--steps", default=8, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--workers", default="", metavar="N,N", help="Also with these numbers of processes.")
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Also a CSV file."
)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="For the data.")
@outputs
def bench_train_command(
    config: Path | None,
    changes: tuple[str, ...],
    device: str,
    precision: str,
    compiled: bool,
    threads: int,
    steps: int,
    rounds: int,
    workers: str,
    csv_file: Path | None,
    folder: Path | None,
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure training steps against the same network on views that are already in memory.

    CONFIG is a file as for `handssl pretrain`; default: the demo's run.

    \b
    Examples:
      handssl bench train --workers 1,2 --markdown benchmarks/train.md --csv benchmarks/train.csv
      handssl bench train run.yaml --device cuda --set pretrain.global_batch=512
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.train import bench_train, csv_text, text
    from handssl.cli.options import parse_changes
    from handssl.study.run_config import RunConfig
    from handssl.training import Execution

    given = _demo_run() if config is None else RunConfig.load(config)
    settings = {"device": device, "precision": precision, "compile": compiled}
    with phases(quiet) as on_progress:
        rates = bench_train(
            folder or Path(gettempdir()),
            given.merged(parse_changes(changes)).pretrain,
            execution=Execution.parse(settings, where="handssl bench train"),
            steps=steps,
            rounds=rounds,
            threads=threads,
            workers=_numbers(workers),
            on_progress=on_progress,
        )
    if csv_file is not None:
        csv_file.write_text(csv_text(rates), encoding="utf-8")
    deliver(asdict(rates), text(rates), markdown, as_json=as_json)


def _numbers(text: str) -> tuple[int, ...]:
    words = [word for word in text.split(",") if word.strip()]
    if not all(word.strip().isdigit() and int(word) > 0 for word in words):
        raise InputError(f"--workers: expected numbers such as 1,2, got {text!r}")
    return tuple(map(int, words))


def _demo_run() -> Any:
    from handssl.study.run_config import RunConfig
    from tune_spaces import demo

    return RunConfig(pretrain=demo.study().pretrain)


@contextmanager
def phases(quiet: bool) -> Iterator[Any]:
    """Show a separate progress bar for each phase."""
    from contextlib import ExitStack

    from handssl.cli.views.terminal import progress_bar

    with ExitStack() as open_bars:

        def phase(name: str) -> Any:
            open_bars.close()
            return open_bars.enter_context(progress_bar(name, quiet=quiet))

        yield phase
