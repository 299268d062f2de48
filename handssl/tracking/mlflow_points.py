"""Conversion of local records to MLflow: metric points in batches, tags, parameters."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlflow.entities import Metric, Param, RunTag

from handssl.evaluation.metric_names import PRIMARY_METRIC, charted_first
from handssl.ledger.record import EpochMetrics, TrialRecord
from handssl.pose.protocol_ids import protocols_of
from handssl.runtime.provenance import provenance
from handssl.tracking.conventions import flatten
from handssl.tracking.parameters import parameters_of

_PARAM_CHARACTERS = 6000
_TAG_CHARACTERS = 5000
# MLflow accepts 1,000 items per request, at most 100 parameters and 100 tags.
_METRICS, _OTHERS = 800, 95
_STATUS = {"running": "KILLED", "failed": "FAILED"}
_OWN = ("trial_id", "study", "stage", "cell", "composition", "objective", "block", "outcome")


@dataclass(frozen=True)
class Batch:
    """Metrics, parameters and tags written in one request."""

    metrics: list[Metric]
    params: list[Param]
    tags: list[RunTag]


def batches(
    entries: Sequence[EpochMetrics], params: Mapping[str, str], tags: Mapping[str, str]
) -> Iterator[Batch]:
    """Put points, parameters and tags into as few requests as MLflow's limits allow.

    Args:
        entries: Epochs or samples. An entry is never split over requests, whose points MLflow
            writes all or none.
        params: Parameter values by name.
        tags: Tag values by name.
    """
    groups = _points(entries)
    named = [Param(name, value[:_PARAM_CHARACTERS]) for name, value in params.items()]
    tagged = [RunTag(name, value[:_TAG_CHARACTERS]) for name, value in tags.items()]
    while named or tagged:
        yield Batch(next(groups, []), named[:_OTHERS], tagged[:_OTHERS])
        named, tagged = named[_OTHERS:], tagged[_OTHERS:]
    for group in groups:
        yield Batch(group, [], [])


def key_of(metrics: Iterable[str]) -> str:
    """Return the metric that indicates whether an entry has arrived: entries arrive as a whole."""
    return PRIMARY_METRIC if PRIMARY_METRIC in metrics else min(metrics)


def params_of(record: TrialRecord) -> dict[str, str]:
    """Return the parameters that determine a run, under dotted names."""
    return flatten(parameters_of(record))


def tags_of(record: TrialRecord) -> dict[str, str]:
    """Return all tags of a run; records of early versions get this process's provenance."""
    tags = {name: str(getattr(record, name)) for name in _OWN}
    tags |= {
        "kind": "trial",
        "transformation": record.composition,
        "seed": str(record.block),
    }
    tags |= {"protocol": protocols_of([record.tags])[0]}
    made = {} if "version.python" in record.tags else provenance()
    return made | record.tags | tags


def run_name(label: str, metrics: Mapping[str, float], block: int | None = None) -> str:
    """Return the name of a run, which is all that MLflow's page shows of a result by default.

    Args:
        label: Label of the cell.
        metrics: Its errors in mm; none while it has no result.
        block: Seed of a trial; None for a cell.

    Example:
        >>> run_name("relative rotate", {"median_mm": 36.14, "mpje_mm": 43.3}, 1)
        '36.1 / 43.3 mm · relative rotate · block 1'
    """
    name = label if block is None else f"{label} · block {block}"
    errors = [metrics.get(one, math.nan) for one in (PRIMARY_METRIC, "mpje_mm")]
    if not all(map(math.isfinite, errors)):
        return name
    return f"{' / '.join(f'{mm:.1f}' for mm in errors)} mm · {name}"


def status_of(record: TrialRecord, *, running: bool, waiting: bool = False) -> str:
    """Return the status MLflow shows.

    Args:
        record: The trial.
        running: Whether this process runs it; otherwise outcome `running` means interrupted.
        waiting: Whether it waits for other trials to reach the same epoch.
    """
    if waiting and record.outcome == "running":
        return "SCHEDULED"
    return "RUNNING" if running else _STATUS.get(record.outcome, "FINISHED")


def _points(entries: Sequence[EpochMetrics]) -> Iterator[list[Metric]]:
    group: list[Metric] = []
    for entry in entries:
        time_ms = entry.time_ms or time.time_ns() // 1_000_000
        values = {**entry.metrics, **charted_first(entry.metrics)}
        points = [Metric(k, v, time_ms, entry.epoch) for k, v in values.items()]
        if group and len(group) + len(points) > _METRICS:
            yield group
            group = []
        group = group + points
    if group:
        yield group
