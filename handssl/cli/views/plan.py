"""Text view of a study's plan in the terminal."""

from __future__ import annotations

import math

from rich.table import Table

from handssl.cli.views.designs import designs_in_words
from handssl.cli.views.terminal import Terminal, folded, plain_table
from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.planning.confirmation_share import AIM, LEAST_CELLS, ConfirmationShare
from handssl.planning.device_hours import Hours
from handssl.planning.remaining_work import StageWork
from handssl.planning.study_plan import StudyPlan
from handssl.runtime.shell_commands import command
from handssl.stats.spread import undecided_below

# Epochs, views and hours are the remaining ones.
_NUMERIC = ("cells", "blocks", "trials", "finished", "exempt", "epochs", "views", "hours")


def print_plan(plan: StudyPlan, bounded: str, *, cells: bool, measured: bool) -> None:
    """Print a plan to stdout.

    Args:
        plan: The plan.
        bounded: The command that runs it with a limit on checkpoints.
        cells: Whether to list all cells.
        measured: Whether training steps were to be measured.
    """
    console = Terminal()
    console.print(f"Study {plan.study.name}, plan {plan.hash}", style="bold", highlight=False)
    sections = (
        _deviations(plan),
        [
            line
            for text in dict.fromkeys(plan.missing_data)
            for line in f"Data: {text}".splitlines()
        ],
        [_stages(plan)],
        [line for work in plan.work for line in _of_stage(plan, work)],
        [line for work in plan.work if cells for line in _cells(work)],
        _time(plan, measured=measured),
        _memory(plan),
        _disk(plan, bounded),
        _confirmations(plan),
        _effects(plan),
        designs_in_words(plan),
    )
    for section in sections:
        for part in section:
            if isinstance(part, str) and console.is_terminal:  # lines of a file stay whole
                part = folded(part, console.width)
            console.print(part, highlight=False, markup=False, soft_wrap=isinstance(part, str))
        if section:
            console.print()


def _deviations(plan: StudyPlan) -> list[str]:
    if not plan.deviations:
        return []
    lines = [f"  {line}" for line in plan.deviations]
    return [f"Deviates from plan {plan.first_hash} of its first run:", *lines]


def _stages(plan: StudyPlan) -> Table:
    table = plain_table()
    table.add_column("stage", no_wrap=True)
    for name in _NUMERIC:
        table.add_column(name, justify="right")
    for work in plan.work:
        one = work.planned
        hours = plan.hours(work)
        table.add_row(
            one.stage.name,
            ("" if one.exact else "up to ") + str(len(work.cells)),
            str(len(one.stage.blocks(plan.study.blocks))),
            str(len(one.trials)),
            str(work.finished),
            str(sum(trial.exempt for trial in one.trained)),
            f"{work.epochs:,.0f}",
            _short(plan.views(work)),
            f"{hours.mean:.2g}" if hours else "-",
        )
    return table


def _of_stage(plan: StudyPlan, work: StageWork) -> list[str]:
    one, lines = work.planned, []
    if not one.known:
        needs = ", ".join(plan.study.needs(one.stage))
        lines.append(f"cells or their settings depend on what {needs} will choose")
    if work.shared:
        lines.append(f"{work.shared} trials are shared with an earlier stage and run once")
    about = "about " if plan.study.halving and plan.study.halving.order == "arrival" else ""
    reached = ", ".join(f"{about}{count:.0f} reach epoch {e}" for e, count in work.rungs.items())
    lines.append(f"of {len(one.trained)} trained: {reached}")
    lines += [f"confounded: {line}" for line in plan.confounding(one)]
    return [f"{one.stage.name}: {line}" for line in lines]


def _cells(work: StageWork) -> list[str]:
    supposed = "" if work.planned.known else " (objectives are assumed until they are chosen)"
    return [f"Cells of {work.planned.stage.name}{supposed}:", *(f"  {c}" for c in work.cells)]


def _time(plan: StudyPlan, *, measured: bool) -> list[str]:
    total, slots, found = plan.hours(*plan.work), plan.slots, plan.measured
    if total is None or found is None:
        nothing = "nothing is left to train" if measured else "not measured (--no-measure)"
        return [f"Time: {nothing}"]
    wall = Hours(*(value / slots.devices for value in (total.mean, total.low, total.high)))
    steps = [timing.steps for timing in found.timings]
    batches = sorted({timing.batch for timing in found.timings})
    return [
        f"Time: {_interval(total)} of a {slots.device}; {_interval(wall)} on this machine "
        f"({slots.devices} {slots.device}s, {slots.trials} trials at once, if they do not slow "
        "each other down)",
        f"  measured on {found.data}: {len(steps)} cells, {_range(steps)} steps of "
        f"{' or '.join(map(str, batches))} images on {found.device}, then a probe; time is "
        "assumed proportional to views",
        "  90 % interval from the spread of steps, of cells about a line over the number of "
        "transformations, and 10 % for what is not measured",
        f"  most memory used while measuring: {_bytes(found.peak_bytes)}",
    ]


def _memory(plan: StudyPlan) -> list[str]:
    """Describe the GPU memory of a step; without a GPU here the study may run elsewhere."""
    own = plan.memory
    if own.step_bytes is None:
        return []
    step = f"GPU memory: about {_bytes(own.step_bytes)} for the largest step (estimated)"
    if own.gpu_bytes is None:
        return [step]
    if not own.fits:
        return [f"{step}, of {_bytes(own.gpu_bytes)}: NOT ENOUGH; --workers splits it over GPUs"]
    shared = f"{own.trials_per_gpu} trials share a GPU" if own.trials_per_gpu > 1 else "a GPU each"
    return [f"{step}, of {_bytes(own.gpu_bytes)}: {shared}"]


def _disk(plan: StudyPlan, bounded: str) -> list[str]:
    disk = plan.disk
    parts = {
        "checkpoints": disk.checkpoints + disk.writing,
        "encoders": disk.encoders,
        "predictions": disk.predictions,
        "data to prepare": disk.data,
        "records": disk.records,
    }
    listed = ", ".join(f"{name} {_bytes(count)}" for name, count in parts.items() if count)
    room = f"{_bytes(disk.free)} free" + ("" if disk.fits else ": NOT ENOUGH")
    line = f"Disk: {_bytes(disk.peak)} at most, {room}" + (f" ({listed})" if listed else "")
    advice = f"  limit the checkpoints with: {bounded}"
    return [line] if disk.fits else [line, advice]


def _effects(plan: StudyPlan) -> list[str]:
    own = plan.variation
    lines = [
        "Detectable with 80 % power, two-sided at 0.05, paired over blocks; standard deviation of "
        f"paired differences {own.sd_mm:.2g} mm: {own.source}"
    ]
    for one in plan.effects:
        mm = f"{one.mm:.2f} mm" if math.isfinite(one.mm) else "nothing: too few blocks"
        lines.append(f"  {one.stage}, {one.what}: {mm}")
    return [*lines, *_noise(plan)]


def _confirmations(plan: StudyPlan) -> list[str]:
    """Describe which share of the epochs each confirmation takes."""
    return [f"{one.stage}: {_share(one)}" for one in plan.confirmations]


def _share(one: ConfirmationShare) -> str:
    cells = f"{one.cells} cells" + (" at most" if one.cells > LEAST_CELLS else "")
    found = (
        f"{cells} and the references on {one.seeds} fresh seeds, {one.epochs:,.0f} of "
        f"{one.of_epochs:,.0f} epochs ({100 * one.share:.0f} %); the aim is about 10 %"
    )
    if not AIM / 2 <= one.share <= 1.5 * AIM and one.advised_most != one.cells:
        return f"{found}, reached with most: {one.advised_most}"
    if one.cells == LEAST_CELLS and one.share > AIM:
        return f"{found}, but never less than two cells on three seeds"
    return found


def _noise(plan: StudyPlan) -> list[str]:
    """Describe what rounding alone does to a trial, and which differences it cannot tell apart."""
    floors = [one for one in plan.noise if one.metric == PRIMARY_METRIC]
    if not floors:
        measure = command("study", "noise", plan.study.name, storage=plan.storage)
        return [f"Noise of rounding: not measured; measure it with: {measure}"]
    blocks = len(plan.study.blocks)
    return [
        "Noise of rounding, standard deviation of a trial's repeats; smaller differences of two "
        f"such cells over {blocks} block{'s' if blocks > 1 else ''} are undecided:",
        *(
            f"  {one.objective}: {one.repeats.sd:.2g} mm ({one.repeats.low:.2g} to "
            f"{one.repeats.high:.2g}, {one.repeats.n} repeats); undecided below "
            f"{undecided_below(one.repeats.sd, one.repeats.sd, blocks):.2g} mm"
            for one in floors
        ),
    ]


def _interval(hours: Hours) -> str:
    scale, unit = (1.0, "hours") if hours.mean >= 1 else (60.0, "minutes")
    mean, low, high = (
        f"{scale * v:.2g}" if v * scale < 100 else f"{scale * v:,.0f}"
        for v in (hours.mean, hours.low, hours.high)
    )
    return f"{mean} {unit} ({low} to {high})"


def _range(counts: list[int]) -> str:
    least, most = min(counts), max(counts)
    return str(least) if least == most else f"{least} to {most}"


def _short(count: float) -> str:
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= scale:
            return f"{count / scale:.1f}{letter}"
    return f"{count:.0f}"


def _bytes(count: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
