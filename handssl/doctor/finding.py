"""Findings of checks and their overall verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
