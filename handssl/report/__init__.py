"""Reports of a study from its records: tables, figures and the order check.

The package itself is callable, so that the short form works alongside its modules:

    import handssl

    result = handssl.run(study)
    page = handssl.report(result)

Nothing here trains, reads MLflow or needs Ray: a report is a function of the local records.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handssl.sweep.result import StudyResult

__all__ = ["report"]


def report(result: StudyResult, path: Path | str | None = None) -> Path:
    """Write the page of a study.

    Args:
        result: Result of `handssl.run`.
        path: Path of the page; default `<study>.html` in the result's storage.

    Returns:
        Path of the page.

    Raises:
        InputError: The page cannot be written.
    """
    from handssl.report.of_study import study_report

    found = study_report(result.study.name, result.storage, result.tracking_uri, result.records)
    return found.write_page(Path(path) if path is not None else None)


class _CallableModule(ModuleType):
    """A module that can be called as its main function: `handssl.report(result)`."""

    def __call__(self, result: StudyResult, path: Path | str | None = None) -> Path:
        return report(result, path)


# A package and a function of the same name cannot both be attributes of `handssl`.
sys.modules[__name__].__class__ = _CallableModule
