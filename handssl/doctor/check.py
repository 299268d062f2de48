"""Findings of checks and their overall verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Verdict = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        name: Name of the check.
        verdict: Verdict; `warning` means that it works, but not well or not everywhere.
        detail: Description of what was found, in one line.
        fix: Suggested fix of a warning or failure: one command or sentence.
    """

    name: str
    verdict: Verdict
    detail: str
    fix: str = ""


def overall(findings: Iterable[Finding]) -> Verdict:
    """Return the worst verdict; skipped checks do not count.

    Args:
        findings: Findings of all checks.

    Example:
        >>> overall([Finding("disk", "ok", ""), Finding("ray", "warning", "", "")])
        'warning'
    """
    verdicts = {finding.verdict for finding in findings}
    ranked: tuple[Verdict, ...] = ("failed", "warning")
    return next((verdict for verdict in ranked if verdict in verdicts), "ok")


def size(count: float) -> str:
    """Return a number of bytes in readable form.

    Example:
        >>> size(64 * 1024**2), size(9_000)
        ('67.1 MB', '9.0 kB')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


@dataclass(frozen=True)
class Settings:
    """Settings of the checks; timeouts are in seconds.

    Attributes:
        storage: Root of all results; need not exist.
        tracking_uri: URI of the MLflow store.
        ray_address: Address of a Ray cluster; None: check that a local Ray can be started.
        quick: Run the ten steps once instead of twice.
        shm: Folder of the shared memory.
        mounts: The system's table of mounts.
        ray_timeout_s: Timeout for Ray to answer, or to start and answer.
        mlflow_timeout_s: Timeout for MLflow to answer and to be written.
        torch_timeout_s: Timeout for importing and querying torch.
        ranks_timeout_s: Timeout for two processes to sum a number.
        steps_timeout_s: Timeout for ten steps, or twice ten.
    """

    storage: Path
    tracking_uri: str
    ray_address: str | None = None
    quick: bool = False
    shm: Path = Path("/dev/shm")  # noqa: S108  (inspected, not used for files)
    mounts: Path = Path("/proc/self/mountinfo")
    ray_timeout_s: float = 90.0
    mlflow_timeout_s: float = 90.0
    torch_timeout_s: float = 90.0
    ranks_timeout_s: float = 60.0
    steps_timeout_s: float = 240.0
