"""Options that several commands share, and their parsing."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from handssl.errors import InputError
from handssl.runtime.shell_commands import command

Command = TypeVar("Command", bound=Callable[..., Any])


def running(command: Command) -> Command:
    """Add the options of every command that runs a study."""
    for option in reversed(_RUNNING):
        command = option(command)
    return command


def recording(command: Command) -> Command:
    """Add the options of `running` except those of the output."""
    for option in reversed(_RECORDING):
        command = option(command)
    return command


def init_option(command: Command) -> Command:
    """Add `--init`, which is `--set pretrain.init=...` for text of any form."""

    @functools.wraps(command)
    def with_init(**values: Any) -> Any:
        if (init := values.pop("init")) is not None:
            values["changes"] += (f"pretrain.init={json.dumps(init)}",)
        return command(**values)

    option = click.option(
        "--init",
        metavar="FILE|RUN",
        help="Initial weights of the encoder: a file of torchvision, PeCLR or handssl, or a run by "
        "its trial id, folder or MLflow run id; default: random.",
    )
    return cast(Command, option(with_init))


storage_option = click.option(
    "--storage",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results; default: $HANDSSL_HOME, else ./handssl-runs.",
)
_RECORDING = (
    storage_option,
    click.option("--tracking-uri", help="MLflow store; default: SQLite in the storage."),
    click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one value, e.g. --set pretrain.epochs=4; may be repeated.",
    ),
    click.option(
        "--markdown",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Also write the results to this file, for a repository.",
    ),
)
_RUNNING = (
    *_RECORDING,
    click.option("--quiet", "-q", is_flag=True, help="No live progress; results only."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end."),
)


def composition_of(text: str) -> tuple[str, ...]:
    """Return the transformations of a composition as written, e.g. rotate+translate.

    Raises:
        InputError: One of them is unknown.
    """
    from handssl.config import nearest
    from handssl.transforms import TRANSFORMATIONS

    names = tuple(text.split("+"))
    for name in names:
        if name not in TRANSFORMATIONS:
            raise InputError(f"unknown transformation {name!r}{nearest(name, TRANSFORMATIONS)}")
    return names


def parse_changes(changes: tuple[str, ...]) -> dict[str, Any]:
    """Read KEY=VALUE texts; values are YAML.

    Args:
        changes: The texts as typed.

    Returns:
        Values by dotted key.

    Raises:
        InputError: A text has no `=`, or its value is not YAML; all mistakes are listed.

    Example:
        >>> parse_changes(("pretrain.epochs=4", "blocks=[1, 2]"))
        {'pretrain.epochs': 4, 'blocks': [1, 2]}
    """
    from handssl.runtime.yaml_text import load_yaml

    values, mistakes = {}, []
    for text in changes:
        key, equals, value = text.partition("=")
        try:
            values[key.strip()] = load_yaml(value)
        except ValueError:
            equals = ""
        if not equals or not key.strip():
            mistakes.append(f"  --set {text}: expected KEY=VALUE, e.g. pretrain.epochs=4")
    if mistakes:
        raise InputError("\n".join([f"{len(mistakes)} mistake(s) in --set:", *mistakes]))
    return values


def study_command(
    verb: str, source: str, changes: tuple[str, ...], storage: Path, *options: str
) -> str:
    """Return another `handssl study` command line for a study as the user typed it.

    Args:
        verb: Subcommand of `handssl study`.
        source: The STUDY argument as typed.
        changes: The values of `--set` as typed.
        storage: Folder of the results.
        options: Further arguments.

    Example:
        >>> study_command("run", "a b.yaml", ("blocks=[1]",), Path("/r")).split(" study ")[1]
        "run 'a b.yaml' --set 'blocks=[1]' --storage /r"
    """
    values = [word for change in changes for word in ("--set", change)]
    return command("study", verb, source, *values, *options, storage=storage)


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?", re.IGNORECASE)


def parse_size(text: str, option: str) -> int:
    """Read a number of bytes with its unit.

    Args:
        text: The size, e.g. 2GB, 500 MiB, 4096.
        option: Name of the option, for the message.

    Returns:
        Number of bytes, at least 1.

    Raises:
        InputError: The text is not a size.

    Example:
        >>> parse_size("2GB", "--keep-bytes"), parse_size("1.5 KiB", "--keep-bytes")
        (2000000000, 1536)
    """
    found = _SIZE.fullmatch(text.strip())
    scale = (_UNITS | _BINARY)[(found[2] or "").upper()] if found else 0
    count = int(float(found[1]) * scale) if found else 0
    if count < 1:
        raise InputError(f"{option}: expected a size such as 500MB or 2GiB, got {text!r}")
    return count


class Group(click.Group):
    """Command group that lists commands with their whole first sentence, which click truncates."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summary of each command."""
        shown = {name: one for name, one in sorted(self.commands.items()) if not one.hidden}
        rows = [(name, one.get_short_help_str(limit=1000)) for name, one in shown.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
