"""Dashboard of the queue."""

from __future__ import annotations

from handssl.execution import operator_metrics as table
from handssl.service.grafana.panels import NONE_IS_GOOD, Dashboard, Panel, once, total

_LOST = once(table.JOBS_FAILED, ',cause=~"lost|driver"')
_WAITS = once(table.JOB_WAIT, name=f"{table.JOB_WAIT.series}_bucket")
_STARTED = f'max by (queue) (increase({table.JOB_WAIT.series}_count{{queue=~"$queue"}}[1h]))'
QUEUE = Dashboard(
    "queue",
    "handssl: queue",
    "queue",
    table.JOBS,
    (
        Panel(
            "Waiting jobs",
            table.JOBS,
            "Jobs in state queued.",
            ((once(table.JOBS, ',state="queued"'), "{{queue}}"),),
            "stat",
        ),
        Panel(
            "Running jobs",
            table.JOBS,
            "Limited by `handssl serve --queue NAME=N`.",
            ((once(table.JOBS, ',state="running"'), "{{queue}}"),),
            "stat",
        ),
        Panel(
            "Services that dispatch",
            table.DISPATCHES,
            "1 is right. 0: no service holds the lease, and no job is started; see "
            "docs/operations.md.",
            ((f"sum({table.DISPATCHES.series})", "services"),),
            "stat",
            thresholds=((None, "red"), (1, "green"), (2, "red")),
        ),
        Panel(
            "Failures of the installation",
            table.JOBS_FAILED,
            "Jobs that failed because the cluster was lost or their driver ended; those by trials "
            "and input are the users', those by time and budget follow from limits.",
            ((f"sum({_LOST})", "jobs"),),
            "stat",
            thresholds=NONE_IS_GOOD,
        ),
        Panel(
            "Jobs by state",
            table.JOBS,
            "Of the chosen queues.",
            ((total("state", once(table.JOBS)), "{{state}}"),),
            stacked=True,
        ),
        Panel(
            "Longest wait of nine jobs in ten",
            table.JOB_WAIT,
            "From submission to the first start, of all jobs that were started.",
            (
                (
                    f"histogram_quantile(0.9, {_WAITS})",
                    "{{queue}}",
                ),
            ),
        ),
        Panel(
            "Jobs started in the last hour",
            table.JOBS,
            "First starts; an attempt after a loss does not count.",
            ((_STARTED, "{{queue}}"),),
        ),
        Panel(
            "Failed jobs by cause",
            table.JOBS_FAILED,
            table.JOBS_FAILED.meaning,
            ((total("cause", once(table.JOBS_FAILED)), "{{cause}}"),),
        ),
    ),
)
