"""Dashboard of the running studies."""

from __future__ import annotations

from handssl.execution import operator_metrics as table
from handssl.service.grafana.panels import NONE_IS_GOOD, Dashboard, Panel, once, total


def _last(metric: table.OperatorMetric) -> str:
    """Return the last value: Ray's exporter forgets a gauge that is not set again soon."""
    return f"last_over_time({metric.series}[10m])"


_ENDED = once(table.TRIALS, ',state=~"completed|stopped|diverged|failed|cancelled"')
_FAILED = once(table.TRIALS, ',state="failed"')
_SHARE_USED = ((None, "green"), (0.8, "orange"), (0.95, "red"))
SWEEP = Dashboard(
    "sweep",
    "handssl: sweep",
    "study",
    table.TRIALS,
    (
        Panel(
            "Trials that have ended",
            table.TRIALS,
            "Share of the planned trials of the stages known so far. Later stages add to it.",
            (
                (
                    f"{total('study', _ENDED)} / {once(table.TRIALS_PLANNED)}",
                    "{{study}}",
                ),
            ),
            "stat",
            "percentunit",
        ),
        Panel(
            "Time left",
            table.LEFT_S,
            "Upper bound, from the median duration of an epoch; halving ends a study earlier.",
            ((once(table.LEFT_S), "{{study}}"),),
            "stat",
        ),
        Panel(
            "Best median so far",
            table.BEST_MEDIAN_MM,
            table.BEST_MEDIAN_MM.meaning,
            ((once(table.BEST_MEDIAN_MM), "{{study}}"),),
            "stat",
        ),
        Panel(
            "Failed trials",
            table.TRIALS,
            "Trials with an error; `handssl jobs logs JOB` has it. Diverged trials are a result.",
            ((total("study", _FAILED), "{{study}}"),),
            "stat",
            thresholds=NONE_IS_GOOD,
        ),
        Panel(
            "Trials by state",
            table.TRIALS,
            "Trials of running jobs; waiting ones wait for others of their rung.",
            ((total("state", once(table.TRIALS)), "{{state}}"),),
            stacked=True,
        ),
        Panel(
            "Best median",
            table.BEST_MEDIAN_MM,
            "Primary measure on select; it falls only when a trial is better than all before.",
            ((once(table.BEST_MEDIAN_MM), "{{study}}"),),
        ),
        Panel(
            "Views encoded per second",
            table.VIEWS_PER_S,
            "All running trials of a study together, from their last epochs.",
            ((once(table.VIEWS_PER_S), "{{study}}"),),
        ),
        Panel(
            "Views per second by objective",
            table.PROCESS_VIEWS_PER_S,
            "All training processes of the cluster, of every study; 0 between trials.",
            (
                (
                    f"sum by (stage, objective) ({_last(table.PROCESS_VIEWS_PER_S)})",
                    "{{stage}} {{objective}}",
                ),
            ),
        ),
        Panel(
            "Trials that ended in the last hour",
            table.TRIALS_ENDED,
            "By outcome, of every study.",
            ((f"sum by (outcome) (increase({table.TRIALS_ENDED.series}[1h]))", "{{outcome}}"),),
        ),
        Panel(
            "Device time",
            table.DEVICE_S,
            f"{table.DEVICE_S.meaning} A job's budget is a limit on it.",
            ((once(table.DEVICE_S), "{{study}}"),),
        ),
        Panel(
            "Peak GPU memory of trials",
            table.GPU_MEMORY,
            "Largest among training processes; compare it with the memory of the GPU.",
            ((f"max by (objective) ({_last(table.GPU_MEMORY)})", "{{objective}}"),),
        ),
        Panel(
            "GPU load",
            table.GPU_LOAD,
            "Below half while trials run: they wait for data, or more fit on a GPU.",
            (
                (
                    f"avg by (instance, GpuIndex) ({table.GPU_LOAD.series})",
                    "{{instance}} GPU {{GpuIndex}}",
                ),
            ),
        ),
        Panel(
            "GPU memory in use",
            table.GPU_USED_MB,
            "Of every GPU, by all processes.",
            (
                (
                    f"sum by (instance, GpuIndex) ({table.GPU_USED_MB.series})",
                    "{{instance}} GPU {{GpuIndex}}",
                ),
            ),
        ),
        Panel(
            "CPU load of nodes",
            table.NODE_CPU,
            "Near 100 % with little GPU load: augmentation limits the speed.",
            ((f"avg by (instance) ({table.NODE_CPU.series})", "{{instance}}"),),
        ),
        Panel(
            "Memory of nodes",
            table.NODE_MEMORY,
            "Share in use. Ray kills trials from 95 % on; they continue elsewhere.",
            (
                (
                    f"max by (instance) ({table.NODE_MEMORY.series}) / "
                    f"max by (instance) ({table.NODE_MEMORY_TOTAL.series})",
                    "{{instance}}",
                ),
            ),
            unit="percentunit",
            thresholds=_SHARE_USED,
        ),
    ),
)
