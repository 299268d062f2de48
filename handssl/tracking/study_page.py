"""Address of a study's results on MLflow's page; a SQLite store is read without MLflow."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from handssl.runtime.secrets import masked_url
from handssl.runtime.sqlite_url import sqlite_path
from handssl.tracking.views import CELLS, TRIALS

# Where `mlflow ui` listens.
LOCAL = "http://127.0.0.1:5000"
_ID = "select experiment_id from experiments where name = ?"
_HAS_CELLS = (
    "select count(*) from runs join tags on tags.run_uuid = runs.run_uuid "
    "where experiment_id = ? and key = 'kind' and value = 'cell'"
)


def study_page(tracking_uri: str, study: str) -> str:
    """Return the address of a study's cells on MLflow's page, or of its trials if it has no cells.

    Args:
        tracking_uri: URI of the MLflow store.
        study: Name of the study.

    Returns:
        The address, for a store in a file on the port of `mlflow ui`; empty if it is not known.
    """
    file = sqlite_path(tracking_uri)
    if file is not None:
        return _of_file(file, study)
    if not tracking_uri.startswith("http"):
        return ""
    from handssl.tracking.comparison import experiment_page  # MLflow takes seconds to import

    return masked_url(experiment_page(tracking_uri, study, tracking_uri))


def _of_file(file: Path, study: str) -> str:
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as base:
            found = base.execute(_ID, (study,)).fetchone()
            if found is None:
                return ""
            (cells,) = base.execute(_HAS_CELLS, found).fetchone()
    except sqlite3.Error:  # no store yet, or one that MLflow has not completed
        return ""
    return f"{LOCAL}/{(CELLS if cells else TRIALS).page(str(found[0]))}"
