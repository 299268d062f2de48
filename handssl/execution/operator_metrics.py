"""Table of the metrics that operators collect with Prometheus, from the service and from Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True)
class OperatorMetric:
    """A metric that Prometheus reads.

    Attributes:
        name: Name under which the program creates it.
        labels: Names of its labels.
        unit: Unit of its values as Grafana names it.
        meaning: Description in words.
        kind: Kind of metric.
        by: Program that exports it.
    """

    name: str
    labels: tuple[str, ...]
    unit: str
    meaning: str
    kind: Kind = "gauge"
    by: Literal["service", "ray"] = "service"

    @property
    def series(self) -> str:
        """Name in Prometheus, without the suffixes of a histogram.

        Example:
            >>> TRIALS_ENDED.series
            'ray_handssl_trials_ended_total'
        """
        name = self.name if self.by == "service" else f"ray_{self.name}"
        return f"{name}_total" if self.kind == "counter" else name


JOBS = OperatorMetric("handssl_jobs", ("queue", "state"), "short", "Number of jobs.")
JOB_WAIT = OperatorMetric(
    "handssl_job_wait_seconds",
    ("queue",),
    "s",
    "Time from submission to the first start, over all started jobs.",
    "histogram",
)
JOBS_FAILED = OperatorMetric(
    "handssl_jobs_failed",
    ("queue", "cause"),
    "short",
    "Failed jobs by cause: trials, input (the study or its data), lost (cluster), driver, time, "
    "budget.",
)
DISPATCHES = OperatorMetric(
    "handssl_dispatches",
    (),
    "short",
    "1 if the responding service is the dispatcher, else 0; the sum over services should be 1.",
)
TRIALS = OperatorMetric("handssl_trials", ("study", "state"), "short", "Trials of running jobs.")
TRIALS_PLANNED = OperatorMetric(
    "handssl_trials_planned",
    ("study",),
    "short",
    "Trials of the stages known so far, of running jobs.",
)
VIEWS_PER_S = OperatorMetric(
    "handssl_views_per_second",
    ("study",),
    "short",
    "Views encoded per second by running trials, from their last epochs.",
)
BEST_MEDIAN_MM = OperatorMetric(
    "handssl_best_median_mm",
    ("study",),
    "lengthmm",
    "Primary measure of the best self-supervised trial so far: median error on select.",
)
LEFT_S = OperatorMetric(
    "handssl_left_seconds", ("study",), "s", "Upper bound of the remaining time of a running job."
)
DEVICE_S = OperatorMetric(
    "handssl_device_seconds",
    ("study",),
    "s",
    "GPU time, or core time without GPUs, of the epochs completed by a running job.",
)
SERVICE_METRICS = (
    *(JOBS, JOB_WAIT, JOBS_FAILED, DISPATCHES, TRIALS, TRIALS_PLANNED),
    *(VIEWS_PER_S, BEST_MEDIAN_MM, LEFT_S, DEVICE_S),
)

_PROCESS = ("stage", "objective")
PROCESS_VIEWS_PER_S = OperatorMetric(
    "handssl_views_per_second",
    _PROCESS,
    "short",
    "Views encoded per second by a training process, 0 between trials.",
    by="ray",
)
GPU_MEMORY = OperatorMetric(
    "handssl_gpu_memory_bytes",
    _PROCESS,
    "bytes",
    "Peak of a training process on its GPU; only where there is one.",
    by="ray",
)
TRIALS_ENDED = OperatorMetric(
    "handssl_trials_ended",
    (*_PROCESS, "outcome"),
    "short",
    "Trials that ended in a training process.",
    "counter",
    "ray",
)
RAY_METRICS = (PROCESS_VIEWS_PER_S, GPU_MEMORY, TRIALS_ENDED)

_NODE, _GPU = ("instance",), ("instance", "GpuIndex")
NODE_CPU = OperatorMetric("node_cpu_utilization", _NODE, "percent", "Load of all cores.", by="ray")
NODE_MEMORY = OperatorMetric("node_mem_used", _NODE, "bytes", "Used memory.", by="ray")
NODE_MEMORY_TOTAL = OperatorMetric("node_mem_total", _NODE, "bytes", "Total memory.", by="ray")
GPU_LOAD = OperatorMetric("node_gpus_utilization", _GPU, "percent", "Load of a GPU.", by="ray")
GPU_USED_MB = OperatorMetric("node_gram_used", _GPU, "decmbytes", "Used memory of a GPU.", by="ray")
# Ray creates these itself; the dashboards show them.
NODE_METRICS = (NODE_CPU, NODE_MEMORY, NODE_MEMORY_TOTAL, GPU_LOAD, GPU_USED_MB)


def markdown() -> str:
    """Return the table as it appears in the documentation."""
    lines = ["| metric | labels | kind | meaning |", "| --- | --- | --- | --- |"]
    for metric in (*SERVICE_METRICS, *RAY_METRICS, *NODE_METRICS):
        labels = ", ".join(metric.labels)
        lines.append(f"| `{metric.series}` | {labels} | {metric.kind} | {metric.meaning} |")
    return "\n".join(lines)
