"""Part of the page about single hands and joints, from the predictions that trials keep."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from handssl.report.predictions.cells import PredictedCells, predicted_cells
from handssl.report.section_parts import captioned

if TYPE_CHECKING:
    from handssl.report.predictions.intervals import CellInterval
    from handssl.report.study_report import StudyReport
    from handssl.stats.bootstrap import Interval

TITLE = "Single hands and joints"
_COLUMNS = ("cell", "test median, mm", "seeds and hands", "these seeds, other hands", "minus best")


def predictions_part(found: StudyReport) -> str:
    """Return intervals over seeds and hands, PCK, errors per joint and single hands.

    Args:
        found: Report of the study. Without any predictions the part is one sentence, and empty if
            no cell has finished.
    """
    cells = predicted_cells(found)
    if not cells.cells:
        return f"<h2>{TITLE}</h2>\n{_note(cells)}" if cells.note else ""
    return "\n".join([f"<h2>{TITLE}</h2>", _table(found, cells), _note(cells), _figures(cells)])


def _note(cells: PredictedCells) -> str:
    return f'<p class="muted note">{escape(cells.note)}</p>' if cells.note else ""


def _table(found: StudyReport, cells: PredictedCells) -> str:
    from handssl.report.predictions.intervals import RESAMPLES, cell_intervals

    rows = cell_intervals(cells, found.storage)
    head = "".join(f"<th scope=col{_number(n)}>{name}</th>" for n, name in enumerate(_COLUMNS))
    body = "\n".join(map(_row, rows))
    units = {"hands": "hands", "groups": "groups of hands (subjects, recordings or frames)"}
    said = (
        f"95 % intervals of the median error on test, {rows[0].error.group_count:,} "
        f"{units[rows[0].unit]} and the seeds resampled {RESAMPLES:,} times; seeds by Student's t. "
        "One seed says nothing about others. The best cell was chosen on select among all cells: "
        "its error is optimistic, and a difference to it is not corrected for the choice."
    )
    return (
        f'<div class="wide" tabindex="0"><table class="cells"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}"
        f'</tbody></table></div>\n<p class="muted note">{said}</p>'
    )


def _row(one: CellInterval) -> str:
    cells = (
        f"{one.error.mm:.1f}",
        interval_text(one.error.both),
        interval_text(one.error.hands),
        "–" if one.difference is None else _difference(one),
    )
    numbers = "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
    kind = "reference" if one.objective == "reference" else "trial"
    return f'<tr class="{kind}"><td class="cell">{escape(one.name)}</td>{numbers}</tr>'


def _difference(one: CellInterval) -> str:
    found = one.difference
    if found is None:
        return "–"
    low, high = found.both
    word = "" if low > 0 or high < 0 else ", undecided"
    return f"{found.mm:+.1f} ({interval_text(found.both, sign='+')}){word}"


def interval_text(interval: Interval, sign: str = "") -> str:
    """Return an interval in mm as text; a dash without one.

    Example:
        >>> interval_text((1.25, 3.0)), interval_text((math.nan, math.nan))
        ('1.2 to 3.0', '–')
    """
    low, high = interval
    return "–" if math.isnan(low) else f"{low:{sign}.1f} to {high:{sign}.1f}"


def _number(column: int) -> str:
    return ' class="number"' if column else ""


def _figures(cells: PredictedCells) -> str:
    from handssl.report.predictions.hands import hands_figure
    from handssl.report.predictions.joint_errors import joint_figure
    from handssl.report.predictions.pck import pck_figure

    best = cells.cells[0]
    shown = [
        captioned(
            "Share of joints within an error on test (PCK), mean over seeds and joints; the number "
            "is the area under the curve from 0 to 50 mm. Dashed lines are references.",
            pck_figure(cells),
        ),
        captioned(
            f"Mean error of each joint on test in mm, {best.name}; areas of the marks are in "
            "proportion. A drawn right hand, not to scale.",
            joint_figure(best),
        ),
    ]
    hands = captioned(
        f"Hands of test with the least, the middle and the largest mean error, {best.name}, seed "
        f"{best.blocks[0]}: true skeleton with whole lines, predicted one with dashed lines.",
        hands_figure(best),
    )
    return f'<div class="figures">\n{"".join(shown)}\n</div>\n{hands}'
