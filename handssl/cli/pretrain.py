"""`handssl pretrain`: one run, alone or on several workers."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import click

from handssl.cli.options import parse_changes, running
from handssl.errors import InputError


@click.command()
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option(
    "--workers",
    default="1",
    show_default=True,
    help="A number, MIN..MAX, or auto: all there are. It goes on with fewer if some are lost, and "
    "waits below MIN.",
)
@click.option(
    "--address",
    help="Ray cluster, e.g. auto, whose nodes see the storage; default: one of its own.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bf16", "float64"]),
    default="auto",
    show_default=True,
    help="Of the encoder; auto is bf16 on a GPU that has it.",
)
@click.option("--compile", "compiled", is_flag=True, help="torch.compile the encoder.")
@click.option("--time", "until", metavar="HH:MM", help="Stop cleanly at this time of day, exit 75.")
@running
def pretrain(
    config: Path | None,
    workers: str,
    address: str | None,
    device: str,
    precision: str,
    compiled: bool,
    until: str | None,
    storage: Path | None,
    tracking_uri: str | None,
    changes: tuple[str, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Pretrain one encoder as the YAML file CONFIG says; without a file, as --set says.

    A run that was stopped goes on, at the very step, when the command is run again. Exit codes: 0
    done, 75 stopped by SIGTERM or --time, 130 by Ctrl-C.

    \b
    Examples:
      handssl pretrain run.yaml --storage runs/rotate
      handssl pretrain --set pretrain.composition=[rotate] --set pretrain.epochs=20
      handssl pretrain run.yaml --workers 4 --time 23:30
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.execute import execute
    from handssl.sweep.pretrain import pretrain as train
    from handssl.sweep.run_config import RunConfig
    from handssl.training import Execution

    given = RunConfig() if config is None else RunConfig.load(config)
    settings = {"device": device, "precision": precision, "compile": compiled}
    return execute(
        given.merged(parse_changes(changes)),
        storage,
        tracking_uri,
        quiet=quiet,
        as_json=as_json,
        markdown=markdown,
        run=train,
        workers=_workers(workers),
        address=address,
        execution=Execution.parse(settings, where="handssl pretrain"),
        until_s=_until(until),
    )


def _workers(text: str) -> int | tuple[int, int] | None:
    """Return how many workers, or least and most, None for all there are."""
    if text == "auto":
        return None
    if ".." in text:
        return _bounds(text)
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--workers: expected a number from 1, or auto, got {text!r}")
    return int(text)


def _bounds(text: str) -> tuple[int, int]:
    least, _, most = text.partition("..")
    if not (least.isdecimal() and most.isdecimal() and 1 <= int(least) <= int(most)):
        raise InputError(
            f"--workers: expected MIN..MAX with 1 <= MIN <= MAX, e.g. 2..8, got {text!r}"
        )
    return int(least), int(most)


def _until(text: str | None) -> float:
    """Return the time of `time.monotonic` at which to stop: the next HH:MM."""
    if text is None:
        return float("inf")
    try:
        asked = datetime.strptime(text, "%H:%M")
    except ValueError:
        raise InputError(f"--time: expected HH:MM, e.g. 23:30, got {text!r}") from None
    now = datetime.now().astimezone()
    end = now.replace(hour=asked.hour, minute=asked.minute, second=0, microsecond=0)
    if end <= now:
        end += timedelta(days=1)
    return time.monotonic() + (end - now).total_seconds()
