"""Rounds of random faults until the time is up: a row each in a CSV file, and a table by kind.

A file that has rows of a seed is continued with the seed's next round.
"""

from __future__ import annotations

import csv
import datetime
import importlib.metadata
import platform
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

import click

from handssl.tracking.provenance import processor
from tests.faults.kinds import KINDS
from tests.faults.rounds import Round, play, undisturbed
from tests.faults.summary import summary

_ABOUT = ("date", "commit", "seed", "round")
_VERSIONS = ("python", "torch", "ray", "processor")
COLUMNS = (*_ABOUT, *(one.name for one in fields(Round)), *_VERSIONS)


@click.command()
@click.option("--seed", default=1, show_default=True, help="Of kinds and moments.")
@click.option("--minutes", default=60.0, show_default=True, help="No round begins after these.")
@click.option("--kind", "kinds", type=click.Choice(list(KINDS)), multiple=True, help="Only these.")
@click.option(
    "--file", type=click.Path(path_type=Path), default=Path("benchmarks/faults.csv"),
    show_default=True, help="Gets a row a round.",
)  # fmt: skip
def main(seed: int, minutes: float, kinds: tuple[str, ...], file: Path) -> None:
    """Play rounds of random faults; end with 1 if a sweep was not as it is without them."""
    deadline = time.monotonic() + 60 * minutes
    known = rows_of(file)
    number = 1 + max((int(row["round"]) for row in known if row["seed"] == str(seed)), default=0)
    click.echo("the sweep without a fault ...", err=True)
    expected, failures = undisturbed(), 0
    while time.monotonic() < deadline:
        kind = list(KINDS)[number % len(KINDS)]
        if not kinds or kind in kinds:
            found, log = play(kind, f"{seed} {number}", expected)
            append(file, about(seed, number) | asdict(found))
            left_s = max(0.0, deadline - time.monotonic())
            verdict = "FAILED" if found.failed else "same table"
            click.echo(
                f"round {number}: {kind} after {found.after_epochs} epochs: {verdict} in "
                f"{found.seconds:.0f} s; {left_s / 60:.0f} min left"
            )
            if found.failed:
                failures += 1
                click.echo(f"{found}\n{log}", err=True)
        number += 1
    click.echo(summary(rows_of(file)))
    sys.exit(1 if failures else 0)


def about(seed: int, number: int) -> dict[str, object]:
    """Return when and on what a round was played, and which one it is."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    versions = [platform.python_version(), *map(importlib.metadata.version, ("torch", "ray"))]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "seed": seed,
        "round": number,
    } | dict(zip(_VERSIONS, (*versions, processor()), strict=True))


def rows_of(file: Path) -> list[dict[str, str]]:
    """Return the rows that a file has; none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def append(file: Path, row: dict[str, object]) -> None:
    """Add a row to a file, and the head to a new one."""
    is_new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
