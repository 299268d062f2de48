"""What came out of a study, put together for the terminal, for scripts and as a page."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from handssl.config import nearest
from handssl.errors import InputError
from handssl.report.effects import StudyEffects, study_effects
from handssl.report.facts import study_facts
from handssl.report.headline import headline
from handssl.report.html import write_html
from handssl.report.order import order_check
from handssl.report.rows import Row, row_of
from handssl.report.table import markdown_table, terminal_table
from handssl.sweep.planning.registered import plan_facts
from handssl.sweep.result import StudyResult
from handssl.sweep.storage import default_tracking_uri
from handssl.tracking.conventions import ui_command
from handssl.tracking.ledger import Ledger, has_results
from handssl.tracking.record import TrialRecord


@dataclass(frozen=True)
class Summary:
    """A study's results, ready to be shown.

    Attributes:
        table: For the terminal.
        lines: What follows the table: the order, the page, the MLflow UI.
        document: The same for scripts, as JSON values.
        markdown: The same for a repository: table, order, settings, hardware, versions, date.
    """

    table: RenderableType
    lines: tuple[str, ...]
    document: dict[str, Any]
    markdown: str


def summarise(result: StudyResult) -> Summary:
    """Sum up a finished run and write its page, `<study>.html` in the storage."""
    return _summarise(result.records, result.study.name, result.storage, result.tracking_uri)


def summarise_storage(storage: Path, name: str | None) -> Summary:
    """Sum up what a storage holds of one study and write its page.

    Args:
        storage: Folder of the results.
        name: Of the study; None if the storage holds one only.

    Raises:
        InputError: There is no such study, or several to choose from.
    """
    records = Ledger(storage).all() if has_results(storage) else ()
    study = _choose(sorted({record.study for record in records}), name, storage)
    chosen = tuple(record for record in records if record.study == study)
    return _summarise(chosen, study, storage, default_tracking_uri(storage))


def _choose(studies: list[str], name: str | None, storage: Path) -> str:
    if not studies:
        raise InputError(f"{storage}: expected results of a study, found none; run one first")
    if name is None and len(studies) > 1:
        raise InputError(f"{storage}: holds {', '.join(studies)}; choose one with --study")
    if name is not None and name not in studies:
        raise InputError(f"--study: no study {name!r} in {storage}{nearest(name, studies)}")
    return name or studies[0]


def _summarise(
    records: Sequence[TrialRecord], study: str, storage: Path, tracking_uri: str
) -> Summary:
    store = Ledger(storage)
    rows = [row_of(record, store.history(record.trial_id)) for record in records]
    path, show = storage / f"{study}.html", ui_command(tracking_uri)
    planned = plan_facts(store, study)
    facts = {"MLflow UI": show} | planned | study_facts(records, storage)
    effects = study_effects(rows, (store.studies.plan(study) or {}).get("registered", {}))
    write_html(rows, path, title=f"Study {study}", facts=facts, effects=effects)
    check = order_check(rows)
    # Without the references there is no order to speak of.
    order = str(check) if any(row.kind == "reference" for row in rows) else ""
    return Summary(
        table=terminal_table(rows),
        lines=(
            *(("", order) if order else ()),
            *_effect_lines(effects),
            "",
            f"Page:      {path}",
            f"MLflow UI: {show}",
        ),
        document={
            "study": study,
            "storage": str(storage),
            "tracking_uri": tracking_uri,
            "page": str(path),
            "mlflow_ui": show,
            **({"plan": store.studies.plan(study)} if planned else {}),
            **({"order": order, "order_held": check.held} if order else {}),
            **({"effects": _effect_values(effects)} if effects else {}),
            "trials": [record.model_dump(mode="json") for record in records],
        },
        markdown=_markdown(
            study, rows, order, planned | study_facts(records, storage), _effect_lines(effects)
        ),
    )


def _effect_lines(effects: StudyEffects | None) -> tuple[str, ...]:
    if effects is None:
        return ()
    title = "Effect on the median error on select, 95 % interval; below 0 it helps"
    return ("", f"{title} ({effects.method})", *(f"  {line}" for line in effects.lines()))


def _effect_values(effects: StudyEffects) -> dict[str, Any]:
    values = {
        name: {"mm": one.mm, "interval": [one.low, one.high] if math.isfinite(one.low) else None}
        for name, one in effects.effects.items()
    }
    return {"method": effects.method, "main": values}


def _markdown(
    study: str,
    rows: Sequence[Row],
    order: str,
    facts: Mapping[str, str],
    effects: Sequence[str],
) -> str:
    listed = [f"- {name}: {value}" for name, value in facts.items() if name != "storage"]
    command = f"`{' '.join(['handssl', *sys.argv[1:]])}`"
    parts = [
        f"# Study {study}",
        headline(rows),
        f"Written by {command}.",
        markdown_table(rows).strip(),
        *(["## Order", "```text\n" + order + "\n```"] if order else []),
        *(["## Effects", "```text\n" + "\n".join(effects).strip() + "\n```"] if effects else []),
        "## Settings and environment",
        "\n".join(listed),
    ]
    return "\n\n".join(parts) + "\n"


def write_markdown(summary: Summary, path: Path) -> None:
    """Write the Markdown of a summary.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(summary.markdown, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--markdown {path}: cannot be written: {error.strerror}") from None
