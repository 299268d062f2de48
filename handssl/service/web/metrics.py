"""Metrics for operators, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import get_args

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import func, select

from handssl.execution.operator_metrics import (
    BEST_MEDIAN_MM,
    DEVICE_S,
    DISPATCHES,
    JOB_WAIT,
    JOBS,
    JOBS_FAILED,
    LEFT_S,
    TRIALS,
    TRIALS_PLANNED,
    VIEWS_PER_S,
    OperatorMetric,
)
from handssl.execution.status import State as TrialState
from handssl.service.components import Service
from handssl.service.dispatch.progress import Progress
from handssl.service.queue.job import STATES, Cause, Job, State
from handssl.service.queue.listing import Filter, page
from handssl.service.queue.tables import events, jobs
from handssl.service.web.auth import Here, Looks

router = APIRouter(include_in_schema=False)
_WAITS_S = (1, 10, 60, 600, 3_600, 21_600, 86_400)
_CAUSES = tuple(cause for cause in get_args(Cause) if cause)
_HOUR_S = 3600.0
# Value of a running job's progress for each metric of a study; None: not known yet.
_OF_STUDY: Mapping[OperatorMetric, Callable[[Progress], float | None]] = {
    TRIALS_PLANNED: lambda found: found.total,
    VIEWS_PER_S: lambda found: found.views_per_s,
    BEST_MEDIAN_MM: lambda found: found.median_mm,
    LEFT_S: lambda found: found.left_s,
    DEVICE_S: lambda found: found.used_hours * _HOUR_S,
}


@router.get("/healthz")
def healthz(service: Here) -> dict[str, str]:
    """Return ok if the service and its database answer."""
    service.queue.now_s()
    return {"status": "ok"}


@router.get("/metrics")
def metrics(caller: Looks, service: Here) -> Response:
    """Return all metrics."""
    registry = CollectorRegistry()
    registry.register(_Collector(service))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Collector:
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Read everything on each request, so that no value is out of date."""
        depth = self._service.queue.depth()
        queues = sorted({*self._service.limits.queues, *(name for name, _ in depth)})
        yield self._depth(queues, depth)
        yield self._waits(queues)
        yield self._failures(queues)
        yield self._leading()
        running, _ = page(self._service.queue, Filter(("running",)), limit=500)
        yield from self._running(running)

    def _depth(self, queues: list[str], depth: Mapping[tuple[str, State], int]) -> Metric:
        found = _gauge(JOBS)
        for queue in queues:
            for state in STATES:
                found.add_metric([queue, state], depth.get((queue, state), 0))
        return found

    def _waits(self, queues: list[str]) -> Metric:
        """Return the time from submission to the first start; later waiting does not count."""
        began = select(events.c.job, func.min(events.c.time_s).label("time_s"))
        first = began.where(events.c.state == "running").group_by(events.c.job).subquery()
        waited = first.c.time_s - jobs.c.submitted_s
        counts = [func.count().filter(waited <= limit) for limit in _WAITS_S]
        query = select(jobs.c.queue, *counts, func.count(), func.coalesce(func.sum(waited), 0.0))
        query = query.select_from(jobs.join(first, first.c.job == jobs.c.id))
        with self._service.queue.database.begin(reading=True) as connection:
            rows = connection.execute(query.group_by(jobs.c.queue)).all()
        empty = {queue: (*(0 for _ in _WAITS_S), 0, 0.0) for queue in queues}
        found = HistogramMetricFamily(JOB_WAIT.name, JOB_WAIT.meaning, labels=JOB_WAIT.labels)
        for queue, (*within, count, total) in (empty | {q: of for q, *of in rows}).items():
            buckets = [(str(float(limit)), n) for limit, n in zip(_WAITS_S, within, strict=True)]
            found.add_metric([queue], [*buckets, ("+Inf", count)], sum_value=float(total))
        return found

    def _failures(self, queues: list[str]) -> Metric:
        query = select(jobs.c.queue, jobs.c.cause, func.count()).where(jobs.c.state == "failed")
        with self._service.queue.database.begin(reading=True) as connection:
            rows = connection.execute(query.group_by(jobs.c.queue, jobs.c.cause)).all()
        counts = {(queue, cause): 0 for queue in queues for cause in _CAUSES}
        counts |= {(queue, cause or "unknown"): count for queue, cause, count in rows}
        found = _gauge(JOBS_FAILED)
        for labels, count in counts.items():
            found.add_metric(labels, count)
        return found

    def _leading(self) -> Metric:
        holder = self._service.lease.holder()
        found = _gauge(DISPATCHES)
        found.add_metric([], float(holder == self._service.lease.me))
        return found

    def _running(self, running: list[Job]) -> Iterator[Metric]:
        progress = {job.study: self._service.board.get(job) for job in running}
        trials = _gauge(TRIALS)
        for study, found in progress.items():
            for state in get_args(TrialState):
                trials.add_metric([study, state], found.counts.get(state, 0))
        yield trials
        for metric, value in _OF_STUDY.items():
            family = _gauge(metric)
            for study, found in progress.items():
                if (known := value(found)) is not None:
                    family.add_metric([study], known)
            yield family


def _gauge(metric: OperatorMetric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
