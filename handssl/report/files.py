"""Trials and weights of a report's rows, and the commands that continue with a cell."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from handssl.execution.storage import default_tracking_uri
from handssl.report.ranking import CellRow
from handssl.report.rows import Row
from handssl.report.sections import Section, main_sections
from handssl.runtime.secrets import masked
from handssl.runtime.shell_commands import command

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport


@dataclass(frozen=True)
class TrialFiles:
    """Files of a trial in the storage of the report.

    Attributes:
        trial_id: Id of the trial.
        block: Seed of the block.
        weights: File with the weights of its encoder; None if there is none.
        checkpoints: Folder of its checkpoints; None if there is none.
    """

    trial_id: str
    block: int
    weights: Path | None
    checkpoints: Path | None

    def values(self) -> dict[str, Any]:
        """Return the content as JSON values."""
        return {name: str(v) if isinstance(v, Path) else v for name, v in vars(self).items()}


class NextStep(NamedTuple):
    """A command line for a shell, and its purpose in words."""

    command: str
    purpose: str


def files_of(row: Row, storage: Path) -> TrialFiles:
    """Return the files of a row's trial.

    Args:
        row: Row of a report.
        storage: Storage of the results.
    """
    # Imported here, because it imports torch, which a page does not need.
    from handssl.execution.checkpoint_mirror.mirror import CHECKPOINTS
    from handssl.tracking.encoder_code import WEIGHTS_FILE

    folder = storage / "trials" / (row.trial_id or "unknown")
    weights, checkpoints = folder / WEIGHTS_FILE, folder / CHECKPOINTS
    return TrialFiles(
        row.trial_id,
        row.block,
        weights if weights.is_file() else None,
        checkpoints if checkpoints.is_dir() else None,
    )


def best_cell(found: StudyReport) -> CellRow | None:
    """Return the cell of the headline: the best of the last stage that compares cells."""
    done = [one.ranking.trials for one in main_sections(found.rows) if one.ranking.trials]
    return done[-1][0] if done else None


def next_steps(found: StudyReport, cell: CellRow) -> tuple[NextStep, ...]:
    """Return the commands that continue with a cell.

    Args:
        found: Report of the study.
        cell: A ranked cell of it.
    """
    default = default_tracking_uri(found.storage)
    files = [files_of(row, found.storage) for row in cell.done]
    trained = next((one.trial_id for one in files if one.weights), None)
    probe = command("probe", trained, storage=found.storage) if trained else ""
    at = () if found.tracking_uri == default else ("--tracking-uri", masked(found.tracking_uri))
    compare = command("study", "compare", found.study, *at, storage=found.storage)
    return (
        *([NextStep(probe, "fit another probe on its encoder")] if probe else []),
        NextStep(compare, "compare the best cells in MLflow"),
    )


def files_part(found: StudyReport, section: Section) -> str:
    """Return the trial ids of a section below its table, and how to continue with its best cell."""
    cells = (*section.ranking.finished, *section.ranking.early)
    rows = "\n".join(_row(cell, row, found.storage) for cell in cells for row in cell.rows)
    table = (
        '<div class="wide" tabindex="0"><table class="cells"><thead><tr><th scope=col>cell</th>'
        '<th class="number" scope=col>block</th><th scope=col>trial</th>'
        f"<th scope=col>weights</th></tr></thead>\n<tbody>{rows}</tbody></table></div>"
    )
    folder = escape(str(found.storage / "trials"))
    return (
        f"{_best(found, section)}<details><summary>Trial ids and weights</summary>\n{table}\n"
        f'<p class="muted note">Paths are relative to <code>{folder}</code>.</p></details>'
    )


def _best(found: StudyReport, section: Section) -> str:
    if not section.ranking.trials:
        return ""
    best = section.ranking.trials[0]
    files = [files_of(row, found.storage) for row in best.done]
    known = [f"; weights <code>{escape(str(one.weights))}</code>" for one in files if one.weights]
    trials = ", ".join(f"<code>{one.trial_id}</code> (block {one.block})" for one in files)
    steps = "".join(
        f"<li>{escape(one.purpose)}: <code>{escape(one.command)}</code></li>"
        for one in next_steps(found, best)
    )
    weights = "".join(known[:1])
    return (
        f'<p class="note">Lowest mean: {escape(best.first.label)}, trials {trials}{weights}. '
        f'To continue:</p>\n<ul class="next">{steps}</ul>\n'
    )


def _row(cell: CellRow, row: Row, storage: Path) -> str:
    weights = files_of(row, storage).weights
    path = f"<code>{row.trial_id}/{weights.name}</code>" if weights else "–"
    return (
        f'<tr><td class="cell">{escape(cell.title)}</td>'
        f'<td class="number">{row.block}</td><td><code>{row.trial_id or "–"}</code></td>'
        f"<td>{path}</td></tr>"
    )
