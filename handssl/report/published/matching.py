"""Published numbers of the same conditions as those of a study, or why there are none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from handssl.pose.protocol_ids import BOX_SUFFIXES
from handssl.report.published.numbers import PUBLISHED, Conditions, Published

if TYPE_CHECKING:
    from handssl.ledger.record import TrialRecord
    from handssl.report.study_report import StudyReport

_NAMES = {
    "dataset": "dataset",
    "split": "split",
    "images": "number of images",
    "boxes": "crop boxes",
}


@dataclass(frozen=True)
class Beside:
    """A cell of the study beside the published number of the same cell.

    Attributes:
        label: Label of the cell.
        seeds: Number of its seeds.
        mean_mm: Its mean error on `test` in mm, the mean over seeds.
        median_mm: Its median error on `test` in mm, the mean over seeds.
        published: The published number.
    """

    label: str
    seeds: int
    mean_mm: float
    median_mm: float
    published: Published


@dataclass(frozen=True)
class Comparable:
    """What of the published numbers is comparable with a study.

    Attributes:
        rows: Numbers side by side.
        sentence: Why there are none; empty if there are some.
    """

    rows: tuple[Beside, ...]
    sentence: str


def comparable(found: StudyReport) -> Comparable | None:
    """Return the published numbers that may stand beside those of a study.

    A number is shown if dataset, split, number of images, crop boxes and error measure are the
    same, and the study has the cell: the objective and the composition.

    Args:
        found: Report of the study.

    Returns:
        Numbers, or the reason why there are none; None for a study without a finished trial.
    """
    finished = [one for one in found.records if one.outcome == "completed" and one.metrics]
    if not finished:
        return None
    cells: dict[tuple[str, str, str], list[TrialRecord]] = {}
    for record in finished:
        if record.cell == f"{record.objective} {record.composition}":  # no settings of its own
            key = (record.objective, record.composition, record.tags.get("data_source", ""))
            cells.setdefault(key, []).append(record)
    rows = [row for records in cells.values() for row in _beside(records)]
    return Comparable(tuple(rows), "" if rows else _why(finished))


def conditions_of(tags: Mapping[str, str], measure: str) -> Conditions | None:
    """Return the conditions of an error on `test`; None if a trial does not name its data.

    Args:
        tags: Tags of a trial.
        measure: Id of a protocol without suffix.
    """
    try:
        known = json.loads(tags.get("data_source", ""))["labelled"]
        boxes = "detector" if known["box"] == "detector" else known["crop"]
        test = int(known["splits"]["test"])
        return Conditions(known["dataset"], known["split_rule"], test, boxes, measure)
    except (ValueError, KeyError, TypeError):
        return None


def _beside(records: list[TrialRecord]) -> Iterable[Beside]:
    first = records[0]
    for one in PUBLISHED:
        same = (one.objective, one.composition) == (first.objective, first.composition)
        if not same or conditions_of(first.tags, one.conditions.measure) != one.conditions:
            continue
        suffix = BOX_SUFFIXES[one.conditions.boxes]  # type: ignore[index]  # ours, so it is known
        name = f"test/ridge/{one.conditions.measure}{suffix}"
        able = [r for r in records if {f"{name}/mean_mm", f"{name}/median_mm"} <= r.metrics.keys()]
        if able:
            mean, median = (
                fmean(record.metrics[f"{name}/{statistic}_mm"] for record in able)
                for statistic in ("mean", "median")
            )
            yield Beside(first.cell, len({r.block for r in able}), mean, median, one)


def _why(records: Iterable[TrialRecord]) -> str:
    """Say in one sentence what keeps the nearest published number from being comparable."""
    ours = [one for record in records if (one := conditions_of(record.tags, ""))]
    start = "No published number is comparable with these"
    if not ours:
        return f"{start}: the trials do not name the split and the boxes of their data."
    fields = min((_differing(own, one.conditions) for own in ours for one in PUBLISHED), key=len)
    if not fields:
        return f"{start}: the study has no cell that was published under its conditions."
    if "dataset" in fields:
        datasets = " and ".join(sorted({one.dataset for one in ours}))
        return f"{start}: they are errors on {datasets} data, on which nothing is published."
    named = ", ".join(_NAMES[name] for name in fields)
    return f"{start}: they differ in {named} ({ours[0].split}; boxes: {ours[0].boxes})."


def _differing(own: Conditions, other: Conditions) -> list[str]:
    """Return the names of what differs, besides the measure: trials have all of them."""
    return [name for name in _NAMES if getattr(own, name) != getattr(other, name)]
