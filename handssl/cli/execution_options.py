"""Execution options of a sweep, collected into one value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from handssl.cli.options import parse_size

if TYPE_CHECKING:
    from handssl.planning.execution_options import ExecutionOptions

_OPTIONS = (
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="Address of a Ray cluster whose nodes see the storage; `auto` finds one on this "
        "machine, `local` starts one. Default: $RAY_ADDRESS, else local.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Ray Train workers of each trial; results depend on it by rounding alone.",
    ),
    click.option(
        "--max-concurrent-trials",
        type=click.IntRange(min=1),
        help="Trials at the same time; default: all fit.",
    ),
    click.option(
        "--trials-per-gpu",
        type=click.IntRange(1, 64),
        help="Trials that share a GPU; default: as many as its memory has room for, at most 4.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="CPU threads of each trial, which change its rounding; default: one per CPU granted.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=2,
        show_default=True,
        help="How often a trial whose process was lost is started again.",
    ),
    click.option(
        "--hang-timeout",
        "hang_timeout_s",
        type=click.FloatRange(min=1),
        default=3600.0,
        show_default=True,
        metavar="SECONDS",
        help="A trial that completes no epoch for this long is killed and retried.",
    ),
    click.option(
        "--patience",
        "patience_s",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="How long to wait if another process runs the study; default: not at all.",
    ),
    click.option(
        "--checkpoint-bytes",
        metavar="SIZE",
        help="Limit on the checkpoints of all trials together, e.g. 50GB; default: no limit.",
    ),
)


def execution_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which receives their values as `how`, of `ExecutionOptions`."""

    @functools.wraps(command)
    def with_options(**values: Any) -> Any:
        given = {name: values.pop(name) for name in _NAMES}
        return command(**values, how=_options(given))

    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options


_NAMES = (
    *("address", "workers", "max_concurrent_trials", "trials_per_gpu", "retries", "hang_timeout_s"),
    *("patience_s", "checkpoint_bytes", "threads"),
)


def _options(values: dict[str, Any]) -> ExecutionOptions:
    from handssl.planning.execution_options import ExecutionOptions

    if (text := values["checkpoint_bytes"]) is not None:
        values["checkpoint_bytes"] = parse_size(text, "--checkpoint-bytes")
    values["execution"] = {"threads": values.pop("threads")}
    return ExecutionOptions.parse(values)
