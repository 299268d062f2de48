"""Noise floor: what rounding alone does to the error of a trial, from repeats in the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from handssl.evaluation.metric_names import ALIGNED_METRIC, PRIMARY_METRIC
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.objectives import OBJECTIVES
from handssl.stats.spread import Spread, spread_within
from handssl.study.noise import noise_name
from handssl.study.stages import Finding

_KEY = "noise_repeat"


@dataclass(frozen=True)
class NoiseFloor:
    """Spread of an objective's trials that differ in rounding alone.

    Attributes:
        objective: The objective.
        metric: Name of the metric, in mm on `select`.
        cells: Number of cells that were repeated.
        repeats: Spread of the repeats within cells.
        seeds: Spread of ordinary trials over seeds within cells; None if it is not known.
    """

    objective: str
    metric: str
    cells: int
    repeats: Spread
    seeds: Spread | None


def noise_floors(records: Iterable[TrialRecord], study: str) -> tuple[NoiseFloor, ...]:
    """Return the noise floors of a study, by metric and objective.

    Args:
        records: All records of the ledger.
        study: Name of the study whose cells were repeated.

    Returns:
        Floors of the primary error, then of the Procrustes-aligned one; empty without repeats.
    """
    completed = [record for record in records if record.outcome == "completed" and record.config]
    repeats = [r for r in completed if r.study == noise_name(study) and r.config.get(_KEY)]
    others = [r for r in completed if r.study == study and not r.config.get(_KEY)]
    return tuple(
        floor
        for metric in (PRIMARY_METRIC, ALIGNED_METRIC)
        for objective in OBJECTIVES
        if (floor := _floor(repeats, others, objective, metric))
    )


def measured_floors(ledger: Ledger, study: str) -> tuple[NoiseFloor, ...]:
    """Return the noise floors of a study in a ledger; empty, and quickly, without repeats."""
    repeats = ledger.all(noise_name(study))
    return noise_floors((*repeats, *ledger.all(study)), study) if repeats else ()


def primary_noise(floors: Iterable[NoiseFloor]) -> dict[str, float]:
    """Return the floors of the primary error in mm by objective."""
    return {one.objective: one.repeats.sd for one in floors if one.metric == PRIMARY_METRIC}


def noise_of(known: Mapping[str, float], objective: str) -> float:
    """Return the noise of an objective in mm.

    Args:
        known: Floors of the primary error in mm by objective.
        objective: The objective; one that was not repeated is taken to be as noisy as the noisiest.

    Example:
        >>> noise_of({"relative": 1.0, "contrastive": 2.0}, "mixed"), noise_of({}, "mixed")
        (2.0, 0.0)
    """
    return known.get(objective, max(known.values(), default=0.0))


def with_noise(
    findings: Iterable[Finding], floors: Iterable[NoiseFloor], first: Mapping[str, float]
) -> list[Finding]:
    """Give the findings of a stage the noise of rounding of their objectives.

    Args:
        findings: The findings.
        floors: Floors of the study.
        first: Floors of the primary error in mm by objective at the study's first run.
    """
    known = primary_noise(floors)
    return [
        replace(
            one,
            noise_mm=noise_of(known, one.cell.objective),
            first_noise_mm=noise_of(first, one.cell.objective),
        )
        for one in findings
    ]


def first_noise(plan: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the floors that were kept with a study's first plan; earlier versions kept none.

    Args:
        plan: Plan of the study from the ledger; None before its first run.
    """
    return dict((plan or {}).get("noise_mm", {}))


def _floor(
    repeats: list[TrialRecord], others: list[TrialRecord], objective: str, metric: str
) -> NoiseFloor | None:
    groups = _grouped(repeats, objective, metric, (_KEY,))
    found = spread_within(groups.values())
    seeds = spread_within(_grouped(others, objective, metric, ("seed",)).values())
    return NoiseFloor(objective, metric, len(groups), found, seeds) if found else None


def _grouped(
    records: list[TrialRecord], objective: str, metric: str, varies: tuple[str, ...]
) -> Mapping[str, list[float]]:
    """Return the values of trials by their configuration without what varies within a group."""
    groups: dict[str, list[float]] = {}
    for record in records:
        if record.objective == objective and metric in record.metrics:
            values: dict[str, Any] = {k: v for k, v in record.config.items() if k not in varies}
            key = json.dumps(values, sort_keys=True)
            groups.setdefault(key, []).append(record.metrics[metric])
    return groups
