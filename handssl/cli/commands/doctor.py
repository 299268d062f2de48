"""`handssl doctor`: checks of whether this machine can run studies."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from handssl.doctor import Finding

_PATIENCE_S = 2.0
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}
_LAST = {
    "ok": "All checks passed.",
    "warning": "Studies can run; the warnings say what could be improved.",
    "failed": "Fix the failures before running studies.",
}


@click.command()
@click.option(
    "--storage",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results; default: $HANDSSL_HOME, else ./handssl-runs.",
)
@click.option("--tracking-uri", help="MLflow store; default: SQLite in the storage.")
@click.option("--ray", "ray_address", metavar="ADDRESS", help="A cluster; default: start one here.")
@click.option("--quick", is_flag=True, help="Run the ten steps once, not twice.")
@click.option("--quiet", "-q", is_flag=True, help="No live progress; results only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(
    storage: Path | None,
    tracking_uri: str | None,
    ray_address: str | None,
    quick: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Check versions, devices, disk, MLflow, Ray, several processes, and ten training steps.

    Exit code 0, with or without warnings; 1 if a check failed. Each failure comes with a fix.

    \b
    Examples:
      handssl doctor
      handssl doctor --storage /data/runs --tracking-uri http://tracking:5000
      handssl doctor --ray head:6379 --json
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.doctor import Settings, diagnose, overall
    from handssl.execution.storage import default_tracking_uri, resolve_storage

    folder = resolve_storage(storage)
    settings = Settings(folder, tracking_uri or default_tracking_uri(folder), ray_address, quick)
    findings: list[Finding] = []
    for finding in diagnose(settings, waiting=lambda name: _waiting(name, quiet=quiet)):
        findings.append(finding)
        if not as_json:
            _show(finding)
    verdict = overall(findings)
    if as_json:
        click.echo(json.dumps(_document(verdict, findings), indent=2))
    else:
        click.echo(_LAST[verdict])
    return 1 if verdict == "failed" else 0


def _document(verdict: str, findings: list[Finding]) -> dict[str, Any]:
    return {"verdict": verdict, "findings": [asdict(finding) for finding in findings]}


def _show(finding: Finding) -> None:
    verdict = click.style(f"{finding.verdict:8}", fg=_COLOURS[finding.verdict])
    click.echo(f"{verdict} {finding.name:14} {finding.detail}")
    if finding.fix:
        click.echo(f"{'':8} {'':14} fix: {finding.fix}")


@contextmanager
def _waiting(name: str, *, quiet: bool) -> Iterator[None]:
    """Show the name of a check on stderr if it takes more than two seconds."""
    from handssl.cli.views.terminal import Terminal

    console = Terminal(stderr=True)
    status = console.status(f"{name} ...")
    spins = console.is_terminal

    def print_results() -> None:
        if spins:
            status.start()
        else:
            console.print(f"{name} ...", highlight=False)

    timer = threading.Timer(_PATIENCE_S, (lambda: None) if quiet else print_results)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()
