"""Metrics for operators, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import func, select

from handssl.service.components import Service
from handssl.service.queue.job import STATES, Job
from handssl.service.queue.listing import Filter, page
from handssl.service.queue.tables import events, jobs
from handssl.service.web.auth import Here, Looks

router = APIRouter(include_in_schema=False)
_WAITS_S = (1, 10, 60, 600, 3_600, 21_600, 86_400)


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
        yield self._depth()
        yield self._waits()
        yield self._failures()
        yield self._leading()
        running, _ = page(self._service.queue, Filter(("running",)), limit=500)
        yield from self._running(running)

    def _depth(self) -> Metric:
        found = GaugeMetricFamily(
            "handssl_jobs", "Jobs of a queue by state.", labels=["queue", "state"]
        )
        depth = self._service.queue.depth()
        for queue in {*self._service.limits.queues, *(name for name, _ in depth)}:
            for state in STATES:
                found.add_metric([queue, state], depth.get((queue, state), 0))
        return found

    def _waits(self) -> Metric:
        """Return the time from submission to the first start; later waiting does not count."""
        began = select(events.c.job, func.min(events.c.time_s).label("time_s"))
        first = began.where(events.c.state == "running").group_by(events.c.job).subquery()
        waited = first.c.time_s - jobs.c.submitted_s
        counts = [func.count().filter(waited <= limit) for limit in _WAITS_S]
        query = select(*counts, func.count(), func.coalesce(func.sum(waited), 0.0))
        query = query.select_from(jobs.join(first, first.c.job == jobs.c.id))
        with self._service.queue.database.begin(reading=True) as connection:
            row = connection.execute(query).one()
        *within, count, total = row
        buckets = [(str(float(limit)), n) for limit, n in zip(_WAITS_S, within, strict=True)]
        found = HistogramMetricFamily(
            "handssl_job_wait_seconds", "From submission to the first start."
        )
        found.add_metric([], [*buckets, ("+Inf", count)], sum_value=float(total))
        return found

    def _failures(self) -> Metric:
        query = select(jobs.c.cause, func.count()).where(jobs.c.state == "failed")
        with self._service.queue.database.begin(reading=True) as connection:
            rows = connection.execute(query.group_by(jobs.c.cause)).all()
        found = GaugeMetricFamily("handssl_jobs_failed", "Failed jobs by cause.", labels=["cause"])
        for cause, count in rows:
            found.add_metric([cause or "unknown"], count)
        return found

    def _leading(self) -> Metric:
        holder = self._service.lease.holder()
        found = GaugeMetricFamily("handssl_dispatches", "1 if this service dispatches, else 0.")
        found.add_metric([], float(holder == self._service.lease.me))
        return found

    def _running(self, running: list[Job]) -> Iterator[Metric]:
        progress = [(job, self._service.board.get(job)) for job in running]
        trials = GaugeMetricFamily(
            "handssl_trials", "Trials of running jobs by state.", labels=["study", "state"]
        )
        rate = GaugeMetricFamily(
            "handssl_views_per_second", "Views encoded by running trials.", labels=["study"]
        )
        best = GaugeMetricFamily(
            "handssl_best_median_mm", "Lowest primary measure so far.", labels=["study"]
        )
        for job, found in progress:
            for state, count in found.counts.items():
                trials.add_metric([job.study, state], count)
            rate.add_metric([job.study], found.views_per_s)
            if found.median_mm is not None:
                best.add_metric([job.study], found.median_mm)
        yield from (trials, rate, best)
