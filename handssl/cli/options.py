"""Options that several verbs share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from handssl.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])


def running(command: Command) -> Command:
    """Add the options of every verb that runs a study."""
    for option in reversed(_RUNNING):
        command = option(command)
    return command


_RUNNING = (
    click.option(
        "--storage",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the results; default: $HANDSSL_HOME, else ./handssl-runs.",
    ),
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
    click.option("--quiet", "-q", is_flag=True, help="No live progress; results only."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end."),
)


def parse_changes(changes: tuple[str, ...]) -> dict[str, Any]:
    """Read KEY=VALUE texts; values are YAML.

    Args:
        changes: As typed.

    Returns:
        Dotted key to value.

    Raises:
        InputError: A text has no `=`, or its value is no YAML; all of them are listed.

    Example:
        >>> parse_changes(("pretrain.epochs=4", "blocks=[1, 2]"))
        {'pretrain.epochs': 4, 'blocks': [1, 2]}
    """
    import yaml

    values, mistakes = {}, []
    for text in changes:
        key, equals, value = text.partition("=")
        try:
            values[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals or not key.strip():
            mistakes.append(f"  --set {text}: expected KEY=VALUE, e.g. pretrain.epochs=4")
    if mistakes:
        raise InputError("\n".join([f"{len(mistakes)} mistake(s) in --set:", *mistakes]))
    return values
