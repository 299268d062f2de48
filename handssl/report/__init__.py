"""Tables, figures and the order check: what a study's records say, for people and for scripts.

The package itself can be called, so that the short form works beside its modules:

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
        result: What `handssl.run` returned.
        path: Of the page; default `<study>.html` in the result's storage.

    Returns:
        Where the page is.

    Raises:
        InputError: The page cannot be written there.
    """
    from handssl.report.of_study import study_report

    found = study_report(result.study.name, result.storage, result.tracking_uri, result.records)
    return found.write_page(Path(path) if path is not None else None)


class _CallableModule(ModuleType):
    """A module that is its main function too: `handssl.report(result)`."""

    def __call__(self, result: StudyResult, path: Path | str | None = None) -> Path:
        return report(result, path)


# A package and a function of one name cannot both be attributes of `handssl`.
sys.modules[__name__].__class__ = _CallableModule
