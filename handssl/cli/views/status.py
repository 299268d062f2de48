"""Views of a study's status, as text and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, get_args

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from handssl.cli.views.terminal import Terminal, plain_table
from handssl.execution.status import StageStatus, State, StudyStatus
from handssl.study.study import Study
from handssl.study.trials import plan_stage

PERIOD_S = 2.0
_STATES = get_args(State)


def show(status: StudyStatus, resuming: str, *, as_json: bool) -> None:
    """Print a status once.

    Args:
        status: Status of the study.
        resuming: The command that ends a pause.
        as_json: Print one JSON document.
    """
    if as_json:
        click.echo(json.dumps(document(status), indent=2))
    else:
        Terminal().print(_table(status))
        for line in _lines(status, resuming):
            click.echo(line)  # with a command for copying: never wrapped


def watch_status(read: Callable[[], StudyStatus], resuming: str) -> None:
    """Show a status until Ctrl-C.

    Args:
        read: Returns the current status.
        resuming: The command that ends a pause.
    """
    with Live(rendered(read(), resuming), console=Terminal(), auto_refresh=False) as live:
        while True:
            time.sleep(PERIOD_S)
            live.update(rendered(read(), resuming), refresh=True)


def rendered(status: StudyStatus, resuming: str) -> RenderableType:
    """Return the view: a row per stage, then running trials, the best one, and time left."""
    return Group(_table(status), *(Text(line) for line in _lines(status, resuming)))


def _table(status: StudyStatus) -> Table:
    table = plain_table(title=status.study.name, title_justify="left", title_style="bold")
    table.add_column("stage", no_wrap=True)
    shown = [name for name in _STATES if any(stage.counts[name] for stage in status.stages)]
    for name in ("trials", *shown, "reused"):
        table.add_column(name, justify="right")
    for stage in status.stages:
        counts = [str(stage.counts[name] or "") for name in shown]
        reused = sum(one.reused for one in stage.trials)
        table.add_row(stage.name, str(len(stage.trials) or "?"), *counts, str(reused or ""))
    return table


def document(status: StudyStatus) -> dict[str, Any]:
    """Return a status as JSON values."""
    best = status.best
    return {
        "study": status.study.name,
        "driver": status.driver or None,
        "paused": status.paused,
        "used_s": round(status.used_s, 1),
        "left_s": None if status.left_s is None else round(status.left_s, 1),
        "best": None if best is None else {"cell": best.trial.cell, "median_mm": best.median_mm},
        "stages": [_stage(stage) for stage in status.stages],
    }


def describe_cost(now: StudyStatus, larger: Study) -> str:
    """Return the cost of extending a study, estimated from the epochs measured so far.

    Args:
        now: Current status of the study.
        larger: The extended study.
    """
    epochs = 0
    for stage in larger.all_stages:
        selections = {one.name: one.selection for one in now.stages if one.selection is not None}
        if all(name in selections for name in larger.needs(stage)):
            trials = plan_stage(larger, stage, selections, lambda data: "any")
            before = next(one for one in now.stages if one.name == stage.name)
            known = {(one.trial.cell, one.trial.block, one.trial.epochs) for one in before.trials}
            new = (t for t in trials if (t.cell, t.block, t.epochs) not in known)
            epochs += sum(trial.epochs for trial in new)
    if now.epoch_device_s is None:
        return f"up to {epochs} more epochs; no epoch was measured yet, so their time is unknown"
    return f"up to {epochs} more epochs, about {_span(epochs * now.epoch_device_s)} on one device"


def _lines(status: StudyStatus, resuming: str) -> list[str]:
    lines = [f"run by {status.driver}" if status.driver else "not running"]
    if status.paused:
        lines[0] += f", paused; resume it with: {resuming}"
    lines += [
        f"{one.trial.cell}, block {one.trial.block}: epoch {one.epoch}/{one.trial.epochs}"
        for one in status.trials.values()
        if one.state == "running"
    ]
    lines += [
        f"stage {stage.name} depends on {stage.waits_for}, which has not ended"
        for stage in status.stages
        if stage.waits_for
    ]
    if best := status.best:
        lines.append(f"best so far: {best.trial.cell}, {best.median_mm:.1f} mm")
    left = "remaining time unknown"
    if status.left_s is not None:
        left = f"at most {_span(status.left_s)} left in known stages"
    return [*lines, f"device time: {_span(status.used_s)} used, {left}"]


def _stage(stage: StageStatus) -> dict[str, Any]:
    return {
        "name": stage.name,
        "waits_for": stage.waits_for or None,
        "epochs_left": stage.epochs_left,
        "counts": dict(stage.counts),
        "reused": sum(one.reused for one in stage.trials),
        "reasons": list(stage.selection.reasons) if stage.selection else None,
        "trials": [
            {
                "trial_id": one.trial.trial_id,
                "cell": one.trial.cell,
                "block": one.trial.block,
                "state": one.state,
                "epoch": one.epoch,
                "epochs": one.trial.epochs,
                "median_mm": one.median_mm,
            }
            for one in stage.trials
        ],
    }


def _span(seconds: float) -> str:
    """Format a duration in seconds.

    Example:
        >>> _span(40), _span(300), _span(7200)
        ('40 s', '5 min', '2.0 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
