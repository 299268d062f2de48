"""Rounds of random faults until the time is up: a row each in a CSV file, and a table by kind.

A file that has rows of a seed is continued with the seed's next round.
"""

from __future__ import annotations

import csv
import datetime
import importlib.metadata
import itertools
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import click

from handssl.runtime.provenance import processor
from tests.faults.kinds import KINDS
from tests.faults.rounds import Round, play, undisturbed
from tests.faults.summary import summary

_ABOUT = ("date", "commit", "seed", "round")
_VERSIONS = ("python", "torch", "ray", "processor")
COLUMNS = (*_ABOUT, *(one.name for one in fields(Round)), *_VERSIONS)


@click.command()
@click.option("--seed", default=1, show_default=True, help="Of the moments.")
@click.option("--minutes", default=60.0, show_default=True, help="No round begins after these.")
@click.option("--kind", "kinds", type=click.Choice(list(KINDS)), multiple=True, help="Only these.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    default=Path("benchmarks/faults.csv"),
    show_default=True,
    help="Gets a row a round.",
)
def main(seed: int, minutes: float, kinds: tuple[str, ...], file: Path) -> None:
    """Play rounds of random faults; end with 1 if a sweep was not as it is without them."""
    deadline = time.monotonic() + 60 * minutes
    rounds = following(rows_of(file), seed, kinds or tuple(KINDS))
    failures, expected = 0, None
    while (left_s := deadline - time.monotonic()) > 0:
        if expected is None:
            click.echo("the sweep without a fault ...", err=True)
            expected = undisturbed()
        number, kind = next(rounds)
        found, log = play(kind, f"{seed} {number}", expected)
        append(file, about(seed, number) | asdict(found))
        click.echo(f"{left_s / 60:.0f} min left, round {number}: {said(found)}")
        if found.failed:
            failures += 1
            click.echo(f"{found}\n{log}", err=True)
    click.echo(summary(rows_of(file)))
    sys.exit(1 if failures else 0)


def following(
    rows: Sequence[Mapping[str, str]], seed: int, kinds: Sequence[str]
) -> Iterator[tuple[int, str]]:
    """Yield number and kind of the rounds of a seed that come after those in a file.

    Args:
        rows: Of the file.
        seed: Of the moments.
        kinds: Which kinds of faults.

    Example:
        >>> rows = [{"seed": "1", "round": "1"}, {"seed": "2", "round": "9"}]
        >>> next(following(rows, 1, ["driver", "worker", "raylet"]))
        (2, 'raylet')
    """
    numbers = (int(row["round"]) for row in rows if row["seed"] == str(seed))
    for number in itertools.count(1 + max(numbers, default=-1)):
        yield number, kinds[number % len(kinds)]


def said(found: Round) -> str:
    """Return what a round has found, in a line."""
    verdict = "FAILED" if found.failed else "too late" if found.missed else "same table"
    return f"{found.kind} after {found.after_epochs} epochs: {verdict} in {found.seconds:.0f} s"


def about(seed: int, number: int) -> dict[str, object]:
    """Return when and on what a round was played, and which one it is."""
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = [platform.python_version(), *map(importlib.metadata.version, ("torch", "ray"))]
    return {"date": today, "commit": commit, "seed": seed, "round": number} | dict(
        zip(_VERSIONS, (*versions, processor()), strict=True)
    )


def rows_of(file: Path) -> list[dict[str, str]]:
    """Return the rows that a file has; none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def append(file: Path, row: Mapping[str, object]) -> None:
    """Add a row to a file, and the head to a new one."""
    is_new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
