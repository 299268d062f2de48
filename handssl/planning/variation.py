"""Variation of paired differences between blocks, estimated from earlier results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from statistics import variance

from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.ledger.record import TrialRecord

ASSUMED_SD_MM = 0.5
_GIVEN = "as given"


@dataclass(frozen=True)
class Variation:
    """Standard deviation of paired differences, and its source.

    Attributes:
        sd_mm: Standard deviation over blocks of the difference of two cells, in mm.
        source: Description of the source.
        measured: Whether it was measured.
    """

    sd_mm: float
    source: str
    measured: bool


def variation(records: Iterable[TrialRecord], study: str, sd_mm: float | None) -> Variation:
    """Return the variation to plan with: given by the user, else measured, else assumed.

    Args:
        records: Records of the ledger.
        study: Name of the study whose results are preferred to those of others.
        sd_mm: Value given by the user in mm; None if there is none.
    """
    if sd_mm is not None:
        return Variation(sd_mm, f"{_GIVEN} with --sd-mm", measured=False)
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.outcome == "completed" and PRIMARY_METRIC in record.metrics and record.epochs:
            groups.setdefault(record.study, []).append(record)
    for name in sorted(groups, key=lambda one: (one != study, -len(groups[one]))):
        found = _pooled(groups[name])
        if found is not None:
            sd, pairs = found
            return Variation(sd, f"measured on {pairs} pairs of cells of study {name}", True)
    return Variation(ASSUMED_SD_MM, "an assumption, nothing was measured yet", measured=False)


def at_least(found: Variation, noise_sd_mm: float) -> Variation:
    """Return a variation that is not below what rounding alone does to a difference of two trials.

    Args:
        found: Variation to plan with; one that the user gave is kept.
        noise_sd_mm: Standard deviation of a trial's repeats in mm, its noise floor.

    Example:
        >>> round(at_least(Variation(0.5, "an assumption", False), 1.0).sd_mm, 2)
        1.41
    """
    least = noise_sd_mm * 2**0.5
    if found.sd_mm >= least or found.source.startswith(_GIVEN):
        return found
    source = f"the noise of rounding, more than {found.sd_mm:.2g} mm ({found.source})"
    return Variation(least, source, measured=True)


def _pooled(records: Iterable[TrialRecord]) -> tuple[float, int] | None:
    """Pool the variances of differences over all pairs of cells that share two or more blocks."""
    values: dict[tuple[str, int], dict[int, float]] = {}
    for record in records:
        by_block = values.setdefault((f"{record.stage} {record.cell}", record.epochs), {})
        by_block[record.block] = record.metrics[PRIMARY_METRIC]
    total, degrees, pairs = 0.0, 0, 0
    for (one, a), (other, b) in combinations(values.items(), 2):
        shared = sorted(set(a) & set(b))
        if one[1] == other[1] and len(shared) > 1:
            total += variance(a[block] - b[block] for block in shared) * (len(shared) - 1)
            degrees += len(shared) - 1
            pairs += 1
    return ((total / degrees) ** 0.5, pairs) if degrees and total > 0 else None
