"""Rounds by kind of fault, with an upper bound of the share of rounds that fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.stats import beta

HEAD = (
    "| fault | rounds | failed | failure rate at most (95 %) | longest wait s | lost | repeated |\n"
    "|---|---|---|---|---|---|---|"
)


def upper_bound(failed: int, rounds: int, confidence: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson bound of a failure rate.

    Args:
        failed: Rounds that have failed.
        rounds: All.
        confidence: Of the bound.

    Returns:
        A share of 1; 1 - 0.05^(1/n) where none of n rounds has failed.

    Example:
        >>> round(upper_bound(0, 4), 3) == round(1 - 0.05 ** (1 / 4), 3)
        True
    """
    if failed >= rounds:
        return 1.0
    return float(beta.ppf(confidence, failed + 1, rounds - failed))


def summary(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a Markdown table of rounds by kind.

    Args:
        rows: As they are in the CSV file; those whose fault came too late do not count.
    """
    rows = [row for row in rows if row["missed"] != "True"]
    kinds = dict.fromkeys(row["kind"] for row in rows)
    return "\n".join(
        [HEAD, *(_line(kind, [r for r in rows if r["kind"] == kind]) for kind in kinds)]
    )


def has_failed(row: Mapping[str, str]) -> bool:
    """Return whether a row tells of anything but the undisturbed table."""
    counted = int(row["lost"]) + int(row["repeated"]) + int(row["left"])
    return bool(counted or row["error"] or row["same_table"] != "True")


def _line(kind: str, rows: Sequence[Mapping[str, str]]) -> str:
    failed = sum(map(has_failed, rows))
    sums = [sum(int(row[name]) for row in rows) for name in ("lost", "repeated")]
    bound = upper_bound(failed, len(rows))
    longest = max(float(row["longest_wait_s"]) for row in rows)
    cells = (kind, len(rows), failed, f"{bound:.0%}", f"{longest:.0f}", *sums)
    return f"| {' | '.join(map(str, cells))} |"
