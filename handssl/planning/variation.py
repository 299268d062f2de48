"""Variation of paired differences between blocks, estimated from earlier results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import variance

from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.ledger.record import TrialRecord
from handssl.planning.recorded import recorded_variance
from handssl.stats.contrasts import Composition
from handssl.stats.seed_variance import SeedVariance, seed_variance

_GIVEN = "as given"


@dataclass(frozen=True)
class Variation:
    """Standard deviation of paired differences, and its source.

    Attributes:
        sd_mm: Standard deviation over blocks of the difference of two cells, in mm.
        source: Description of the source.
        measured: Whether it was measured in this storage.
        effects: Variances of the seeds, of which those of main effects come from earlier complete
            grids in the storage, else in proportion from recorded curves; None: all from there.
        effects_source: Description of the source of the variance of main effects.
    """

    sd_mm: float
    source: str
    measured: bool
    effects: SeedVariance | None = None
    effects_source: str = "recorded curves of 128 compositions, in proportion"

    @property
    def seeds(self) -> SeedVariance:
        """All variances over seeds."""
        return (self.effects or recorded_variance()).scaled(self.sd_mm)


def variation(records: Iterable[TrialRecord], study: str, sd_mm: float | None) -> Variation:
    """Return the variation to plan with: given by the user, else measured, else of recorded curves.

    Args:
        records: Records of the ledger.
        study: Name of the study whose results are preferred to those of others.
        sd_mm: Value given by the user in mm; None if there is none.
    """
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.outcome == "completed" and PRIMARY_METRIC in record.metrics and record.epochs:
            groups.setdefault(record.study, []).append(record)
    ordered = sorted(groups, key=lambda one: (one != study, -len(groups[one])))
    return _with_effects(_paired(groups, ordered, sd_mm), groups, ordered)


def _paired(
    groups: Mapping[str, Sequence[TrialRecord]], ordered: Sequence[str], sd_mm: float | None
) -> Variation:
    if sd_mm is not None:
        return Variation(sd_mm, f"{_GIVEN} with --sd-mm", measured=False)
    for name in ordered:
        found = _pooled(groups[name])
        if found is not None:
            sd, pairs = found
            return Variation(sd, f"measured on {pairs} pairs of cells of study {name}", True)
    source = "of curves recorded on small procedural hands, nothing was measured here yet"
    return Variation(recorded_variance().paired_mm, source, measured=False)


def _with_effects(
    found: Variation, groups: Mapping[str, Sequence[TrialRecord]], ordered: Sequence[str]
) -> Variation:
    """Add the variances of the first study with complete grids in two blocks or more."""
    for name in ordered:
        grids = _complete_grids(groups[name])
        if len(grids) > 1:
            source = f"complete grids of study {name} in {len(grids)} blocks"
            return replace(found, effects=seed_variance(grids), effects_source=source)
    return found


def _complete_grids(records: Iterable[TrialRecord]) -> list[dict[Composition, float]]:
    """Return the blocks of stages of compositions that have every composition."""
    grids: dict[tuple[str, int, int], dict[Composition, float]] = {}
    for record in records:
        own = record.composition
        composition = () if own == "none" else tuple(sorted(own.split("+")))
        grid = grids.setdefault((record.stage, record.epochs, record.block), {})
        if record.objective in ("contrastive", "relative", "mixed"):
            grid[composition] = record.metrics[PRIMARY_METRIC]
    names = {name for grid in grids.values() for composition in grid for name in composition}
    return [grid for grid in grids.values() if len(grid) == 2 ** len(names) > 4]


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
    return replace(found, sd_mm=least, source=source, measured=True)


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
