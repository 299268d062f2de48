"""Write a report in one of its formats, atomically."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Literal

from handssl.errors import InputError
from handssl.report.formats.latex import latex
from handssl.report.formats.markdown import markdown
from handssl.report.formats.trials_csv import trials_csv
from handssl.report.page import page

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport

FormatName = Literal["html", "markdown", "latex", "csv"]


@dataclass(frozen=True)
class Format:
    """A format of a report.

    Attributes:
        suffix: Suffix of its files, with the dot.
        render: Returns a report as text.
    """

    suffix: str
    render: Callable[[StudyReport], str]


FORMATS: dict[FormatName, Format] = {
    "html": Format(".html", page),
    "markdown": Format(".md", markdown),
    "latex": Format(".tex", latex),
    "csv": Format(".csv", trials_csv),
}


def write(found: StudyReport, path: Path | None = None, form: FormatName = "html") -> Path:
    """Write a report; a file that exists is replaced as a whole.

    Args:
        found: Report of the study.
        path: Path of the file; default `<study>` with the format's suffix in the storage.
        form: Name of the format.

    Returns:
        Path of the file.

    Raises:
        InputError: The format is unknown, or the file cannot be written.
    """
    if form not in FORMATS:
        raise InputError(f"format: expected {', '.join(FORMATS)}, got {form!r}")
    target = path or found.storage / f"{found.study}{FORMATS[form].suffix}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, FORMATS[form].render(found))
    except OSError as error:
        raise InputError(
            f"{target}: expected a file to write the report to, cannot ({error.strerror}); "
            "choose another folder"
        ) from None
    return target


def write_text(path: Path, content: str) -> None:
    """Write a text file atomically.

    Raises:
        OSError: It cannot be written; a file that exists is not changed.
    """
    with NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        partial = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            partial.chmod(0o644)  # the temporary file is private, the report is not
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
