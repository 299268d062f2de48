"""Progress of a job's study, read from the ledger alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handssl.errors import HandsslError
from handssl.execution.recorder import device_s
from handssl.execution.status import StudyStatus, TrialStatus, status
from handssl.ledger import Ledger
from handssl.ledger.ledger import has_results
from handssl.ledger.record import EpochMetrics, TrialRecord
from handssl.study.study import Study

_RATE = "train/views_per_s"
_OVER = ("completed", "stopped", "diverged", "failed", "cancelled")


@dataclass(frozen=True)
class Progress:
    """Progress of a study.

    Attributes:
        done: Number of trials that have ended.
        total: Number of trials of the stages known so far.
        counts: Number of trials by state.
        best_cell: Label of the best self-supervised cell by the primary measure; empty if none.
        median_mm: Its primary measure on `select`, mm; None if there is none.
        mpje_mm: The mean of the same errors, mm; None if there is none.
        curve: (minutes since the first epoch, best median so far in mm) at each improvement.
        used_hours: GPU hours, or core hours without GPUs, of the epochs completed by the job.
        left_s: Upper bound of the remaining time, seconds; None while unknown.
        views_per_s: Views per second of all running trials together.
    """

    done: int = 0
    total: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    best_cell: str = ""
    median_mm: float | None = None
    mpje_mm: float | None = None
    curve: tuple[tuple[float, float], ...] = ()
    used_hours: float = 0.0
    left_s: float | None = None
    views_per_s: float = 0.0


@dataclass(frozen=True)
class Span:
    """Time span in which a job ran.

    Attributes:
        began_s: Unix time of its first start, None if it was never started.
        ended_s: Unix time of its end, None before.
    """

    began_s: float | None = None
    ended_s: float | None = None

    def holds(self, time_ms: int | None) -> bool:
        """Return whether a time (Unix milliseconds) lies in the span."""
        if self.began_s is None or time_ms is None:
            return False
        return self.began_s * 1000 <= time_ms <= (self.ended_s or math.inf) * 1000


def progress(document: Mapping[str, Any], storage: Path, span: Span) -> Progress:
    """Return the progress of a job's study; empty if none of it has been run.

    Args:
        document: The job's document, with its `study`.
        storage: Folder of the results.
        span: Time span in which the job ran; usage outside it belongs to other jobs.
    """
    try:
        study = Study.parse(document["study"])
        if not has_results(storage):
            return Progress()
        return _of(status(study, storage), Ledger(storage), span)
    except HandsslError:  # the driver reports it; the page shows no progress
        return Progress()


def is_paused(study: Mapping[str, Any], storage: Path) -> bool:
    """Return whether the study itself was paused with `handssl study pause`."""
    return has_results(storage) and Ledger(storage).asked(str(study["name"])).paused


def resume_study(study: Mapping[str, Any], storage: Path) -> None:
    """End a pause of the study itself, as it would stop every new driver at once."""
    if is_paused(study, storage):
        Ledger(storage).ask(str(study["name"]), "resume")


def _of(found: StudyStatus, ledger: Ledger, span: Span) -> Progress:
    trials = found.trials
    trained = [name for name, one in trials.items() if not one.reused]
    records, points = ledger.load_all(list(trials)), ledger.histories(trained)
    best = found.best
    slots = max(1, sum(one.state == "running" for one in trials.values()))
    return Progress(
        done=sum(one.state in _OVER for one in trials.values()),
        total=len(trials),
        counts=_counted(trials),
        best_cell=best.trial.cell if best else "",
        median_mm=best.median_mm if best else None,
        mpje_mm=_mpje(records, best),
        curve=best_so_far([rows for name, rows in points.items() if _is_own(trials[name])]),
        used_hours=used_s(points.values(), span) / 3600,
        left_s=None if found.epoch_s is None else found.epochs_left * found.epoch_s / slots,
        views_per_s=_rate(trials, points),
    )


def _counted(trials: Mapping[str, TrialStatus]) -> dict[str, int]:
    states = [one.state for one in trials.values()]
    return {state: states.count(state) for state in dict.fromkeys(states)}


def _is_own(one: TrialStatus) -> bool:
    return one.trial.objective not in ("reference", "supervised")


def _mpje(records: tuple[TrialRecord, ...], best: TrialStatus | None) -> float | None:
    named = {record.trial_id: record for record in records}
    return named[best.trial.trial_id].metrics.get("mpje_mm") if best else None


def _rate(trials: Mapping[str, TrialStatus], points: Mapping[str, list[EpochMetrics]]) -> float:
    running = [name for name, one in trials.items() if one.state == "running" and points.get(name)]
    return sum(points[name][-1].metrics.get(_RATE, 0.0) for name in running)


def used_s(histories: Iterable[list[EpochMetrics]], span: Span) -> float:
    """Return the device time in seconds of the epochs that were recorded in a span.

    Args:
        histories: The epochs of each trial.
        span: Time span in which the job ran.

    Example:
        >>> took = {"time/device_s": 2.0}
        >>> point = lambda s: EpochMetrics(epoch=1, metrics=took, time_ms=s * 1000)
        >>> used_s([[point(60), point(180)], [point(240)]], Span(120.0, 200.0))
        2.0
    """
    rows = (row for rows in histories for row in rows if row.epoch and span.holds(row.time_ms))
    return sum(device_s(row.metrics) for row in rows)


def best_so_far(histories: list[list[EpochMetrics]]) -> tuple[tuple[float, float], ...]:
    """Return each improvement of the lowest median: (minutes since the first point, mm).

    Args:
        histories: The epochs of each trial.

    Example:
        >>> point = lambda s, mm: EpochMetrics(epoch=1, metrics={"median_mm": mm}, time_ms=s * 1000)
        >>> best_so_far([[point(60, 30.0), point(180, 20.0)], [point(120, 25.0)]])
        ((0.0, 30.0), (1.0, 25.0), (2.0, 20.0))
    """
    rows = [row for rows in histories for row in rows if "median_mm" in row.metrics]
    timed = sorted((row.time_ms or 0, row.metrics["median_mm"]) for row in rows)
    found: list[tuple[float, float]] = []
    for time_ms, value in timed:
        if not found or value < found[-1][1]:
            found.append(((time_ms - timed[0][0]) / 60_000, value))
    return tuple(found)
