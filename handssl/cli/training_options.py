"""Options of the commands that train one encoder, and their parsing."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import click

from handssl.cli.options import Command, parse_size
from handssl.errors import InputError


def training_options(command: Command) -> Command:
    """Add the options of where and how one run is trained, see `parse_training`."""
    for option in reversed(_TRAINING):
        command = option(command)
    return command


def parse_training(
    *,
    workers: str,
    address: str | None,
    device: str,
    precision: str,
    threads: int | None,
    compiled: bool,
    deterministic: bool,
    until: str | None,
    checkpoints: str | None,
    keep: int,
    keep_bytes: str | None,
) -> dict[str, Any]:
    """Return the options as arguments of `handssl.execution.single_run.pretrain`.

    Raises:
        InputError: A value is not valid.
    """
    from handssl.training import Execution

    settings: dict[str, Any] = {"device": device, "precision": precision, "compile": compiled}
    settings |= {"keep": keep, "deterministic": deterministic, "threads": threads}
    if keep_bytes is not None:
        settings["keep_bytes"] = parse_size(keep_bytes, "--keep-bytes")
    return {
        "workers": _workers(workers),
        "address": address,
        "execution": Execution.parse(settings, where="handssl"),
        "until_s": _until(until),
        "checkpoints": checkpoints,
    }


def _workers(text: str) -> int | tuple[int, int] | None:
    """Return the number of workers, or (least, most), None for all available."""
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


_TRAINING = (
    click.option(
        "--workers",
        default="1",
        show_default=True,
        help="A number, MIN..MAX, or auto: all available. It continues with fewer if some are "
        "lost, and waits below MIN.",
    ),
    click.option(
        "--address",
        help="Ray cluster, e.g. auto, whose nodes see the storage; local starts one. Default: "
        "$RAY_ADDRESS, else local.",
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bf16", "float64"]),
        default="auto",
        show_default=True,
        help="Precision of the encoder; auto is bf16 on a GPU that supports it.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="CPU threads of each process, which change its rounding; default: torch's own number.",
    ),
    click.option("--compile", "compiled", is_flag=True, help="torch.compile the encoder."),
    click.option(
        "--deterministic", is_flag=True, help="Use bitwise reproducible kernels on GPUs too."
    ),
    click.option(
        "--time", "until", metavar="HH:MM", help="Stop cleanly at this time of day, exit 75."
    ),
    click.option("--checkpoints", metavar="URL", help="Also copy checkpoints to s3://, gs://, ..."),
    click.option(
        "--keep",
        type=click.IntRange(1),
        default=2,
        show_default=True,
        help="Newest checkpoints kept.",
    ),
    click.option(
        "--keep-bytes", metavar="SIZE", help="Delete older ones beyond this sum, e.g. 2GB."
    ),
)
