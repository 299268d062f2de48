"""A study's report as Markdown, for a repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from handssl.report.headline import headline
from handssl.report.table import markdown_table
from handssl.report.text_parts import text_parts

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport


def markdown(found: StudyReport, command: str = "") -> str:
    """Return the report as Markdown: answers, tables, settings, hardware, versions, date.

    Args:
        found: Report of the study.
        command: Command line that made it; empty to leave it out.

    Example:
        >>> from pathlib import Path
        >>> from handssl.report.study_report import StudyReport
        >>> markdown(StudyReport("first", Path("runs"), "sqlite://")).splitlines()[2]
        'No trial has finished yet.'
    """
    listed = [f"- {name}: {value}" for name, value in found.facts.items() if name != "storage"]
    parts = [
        f"# Study {found.study}",
        headline(found.rows),
        *([f"Written by `{command}`."] if command else []),
        markdown_table(found.rows).strip(),
        *(block for title, lines in text_parts(found) for block in _text(title, lines)),
        "## Settings and environment",
        "\n".join(listed),
    ]
    return "\n\n".join(parts) + "\n"


def _text(title: str, lines: Sequence[str]) -> tuple[str, str]:
    return f"## {title}", "```text\n" + "\n".join(lines) + "\n```"
