"""Missing results of a report with their reasons, so that no section is silently absent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handssl.report.causes import CAUSES, StageCount, counts
from handssl.report.decisions import uncompared
from handssl.report.effects import BlockGap, StudyEffects
from handssl.report.rows import Row
from handssl.report.verdicts import unmeasured
from handssl.runtime.shell_commands import command

if TYPE_CHECKING:
    from handssl.execution.status import StageStatus

_SHOWN = 6
# Stopped trials are not missing: halving stops them deliberately.
_WHY = {
    "failed": "failed",
    "diverged": "diverged",
    "cancelled": "cancelled",
    "running": "not finished",
    "waiting": "not finished",
    "to do": "not begun",
}


@dataclass(frozen=True)
class MissingCell:
    """A trial without a result.

    Attributes:
        stage: Name of the stage that contains the trial.
        cell: Label of the cell.
        block: Seed of the block.
        why: Reason: failed, diverged, cancelled, not finished or not begun.
    """

    stage: str
    cell: str
    block: int
    why: str


@dataclass(frozen=True)
class Missing:
    """Missing results of a report.

    Attributes:
        cells: Trials without a result.
        counts: Trials without a last value by stage and cause, also those stopped early.
        notes: Absent or incomplete sections with reasons, and commands that complete them.
    """

    cells: tuple[MissingCell, ...]
    notes: tuple[str, ...]
    counts: tuple[StageCount, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """Return sentences; empty if nothing is missing."""
        return (*map(str, self._told), *_listed(self.cells), *self.notes)

    def values(self) -> dict[str, Any]:
        """Return the content as JSON values."""
        return {
            "cells": [vars(cell) for cell in self.cells],
            "counts": [
                {"stage": one.stage, "trials": one.trials}
                | dict(zip(CAUSES, one.by_cause, strict=True))
                for one in self.counts
            ],
            "notes": list(self.notes),
        }

    @property
    def _told(self) -> tuple[StageCount, ...]:
        """Counts beside a list of trials; stopped ones alone are no lack."""
        return self.counts if self.cells else ()


def missing(
    rows: Sequence[Row],
    stages: Sequence[StageStatus],
    *,
    effects: StudyEffects | None,
    gaps: Sequence[BlockGap],
    unread: str,
    study: str,
    storage: Path,
) -> Missing:
    """Return the missing results of a report.

    Args:
        rows: Rows of the report.
        stages: Status of the study's stages; empty if the plan cannot be read.
        effects: Estimated effects, if any.
        gaps: Blocks excluded from effects.
        unread: Reason why the stages could not be planned again; empty if they were.
        study: Name of the study.
        storage: Storage of the results.
    """
    cells = tuple(_cells(stages))
    reasons = {cell.why for cell in cells} | {why for gap in gaps for _, why in gap.cells}
    notes = [
        *([f"Stages are shown as far as this study ran them itself: {unread}"] if unread else []),
        *_effects(effects, gaps),
        *_comparisons(rows),
        *_choices(stages),
        *_references(rows, cells, study, storage),
        *_commands(reasons, study, storage),
    ]
    return Missing(cells, tuple(notes), counts(stages))


def _cells(stages: Iterable[StageStatus]) -> Iterable[MissingCell]:
    for stage in stages:
        for one in stage.trials:
            if one.state in _WHY:
                yield MissingCell(stage.name, one.trial.cell, one.trial.block, _WHY[one.state])


def _listed(cells: Sequence[MissingCell]) -> list[str]:
    """Return one line per stage and reason, with its cells and their blocks."""
    groups: dict[tuple[str, str], dict[str, list[int]]] = {}
    for one in cells:
        groups.setdefault((one.stage, one.why), {}).setdefault(one.cell, []).append(one.block)
    return [
        f"{stage}, {why}: {_some([f'{cell} ({_blocks(on)})' for cell, on in by_cell.items()])}"
        for (stage, why), by_cell in groups.items()
    ]


def _effects(effects: StudyEffects | None, gaps: Sequence[BlockGap]) -> list[str]:
    if effects is None:
        text = _in_words(gaps)
        return [f"No effects are estimated, too many last values are missing: {text}."] * bool(gaps)
    left_out = [gap for gap in gaps if not gap.used]
    fitted = [gap for gap in gaps if gap.used]
    lines = []
    if fitted:
        lines.append(f"Effects are fitted without: {_in_words(fitted)}; see their bounds.")
    if left_out:
        lines.append(
            f"Effects leave out {_blocks([gap.block for gap in left_out])}, with fewer than half "
            f"of the last values: {_in_words(left_out)}."
        )
    return lines


def _in_words(gaps: Sequence[BlockGap]) -> str:
    return "; ".join(
        f"block {gap.block}: {_some([f'{c} {why}' for c, why in gap.cells])}" for gap in gaps
    )


def _comparisons(rows: Sequence[Row]) -> list[str]:
    names = uncompared(rows)
    if not names:
        return []
    return [f"Objectives are not compared for {', '.join(names)}: no block has a result of each."]


def _choices(stages: Iterable[StageStatus]) -> Iterable[str]:
    for stage in stages:
        left = sum(one.state in ("failed", "running", "waiting", "to do") for one in stage.trials)
        if stage.waits_for:
            yield f"Stage {stage.name} is not shown: it waits for the choice of {stage.waits_for}."
        elif stage.selection is None:
            yield (
                f"Stage {stage.name} has chosen nothing yet: {left} of {len(stage.trials)} trials "
                "are not finished."
            )


def _references(
    rows: Sequence[Row], cells: Sequence[MissingCell], study: str, storage: Path
) -> Iterable[str]:
    if rows and not any(row.kind == "reference" for row in rows):
        yield "The order is not checked: the study has no results of references."
    listed = {cell.cell for cell in cells}
    if labels := [label for label in unmeasured(rows) if label not in listed]:
        run = command("study", "run", study, storage=storage)
        yield f"Not measured: {', '.join(labels)}; `{run}` computes them."


def _commands(reasons: set[str], study: str, storage: Path) -> list[str]:
    """Return commands that complete the report."""
    found = []
    if reasons & {"failed", "not finished", "not begun"}:
        run = command("study", "run", study, storage=storage)
        found.append(f"`{run}` trains failed and unfinished trials.")
    if reasons & {"diverged", "cancelled"}:
        extend = command("study", "extend", study, "--seeds", "N", storage=storage)
        found.append(
            "Diverged and cancelled trials are not repeated; to add another block instead: "
            f"`{extend}`, then run the study."
        )
    return found


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _blocks(blocks: Sequence[int]) -> str:
    return f"block{'s' if len(blocks) > 1 else ''} {', '.join(map(str, blocks))}"
