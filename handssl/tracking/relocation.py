"""Correction of artifact locations in an MLflow file that was moved or copied."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from handssl.runtime.sqlite_url import sqlite_path
from handssl.tracking.conventions import artifact_location
from handssl.tracking.outbox import UnavailableError

_BUSY_S = 20.0
# Columns in which MLflow keeps absolute locations below that of an experiment.
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)


def relocate(tracking_uri: str) -> bool:
    """Point the artifacts of a SQLite store beside it again after its folder was moved or copied.

    MLflow keeps only absolute locations: without this a copy writes into the folder that it was
    copied from, and models of a moved storage cannot be loaded. Only experiments whose artifacts
    were beside the store are changed; those of a server are left alone.

    Args:
        tracking_uri: URI of the store.

    Returns:
        Whether anything was changed.

    Raises:
        UnavailableError: It had to be changed and cannot be written.
    """
    file, here = sqlite_path(tracking_uri), artifact_location(tracking_uri)
    if file is None or here is None or not file.is_file():
        return False
    try:
        with closing(_open(file)) as base:
            return bool(_elsewhere(base, here)) and _change(base, here)
    except sqlite3.Error as error:
        raise UnavailableError(f"{file}: {error}") from error


def _open(file: Path) -> sqlite3.Connection:
    uri = f"{file.resolve().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)


def _elsewhere(base: sqlite3.Connection, here: str) -> list[str]:
    """Return other artifact locations of experiments that have the form set by `connect`."""
    if "experiments" not in _tables(base):
        return []
    query = "select distinct artifact_location from experiments where artifact_location like ?"
    form = f"file:///%/{here.rpartition('/')[2]}"
    return [place for (place,) in base.execute(query, (form,)) if place != here]


def _change(base: sqlite3.Connection, here: str) -> bool:
    """Change all locations in one transaction; return whether any was still to be changed."""
    base.execute("begin immediate")
    places = _elsewhere(base, here)
    tables = _tables(base)
    for table, column in ((table, column) for table, column in _COLUMNS if table in tables):
        for place in places:
            base.execute(
                f"update {table} set {column} = ? || substr({column}, ?) "  # noqa: S608  (ours)
                f"where {column} = ? or substr({column}, 1, ?) = ?",
                (here, len(place) + 1, place, len(place) + 1, f"{place}/"),
            )
    base.execute("commit")
    return bool(places)


def _tables(base: sqlite3.Connection) -> set[str]:
    return {name for (name,) in base.execute("select name from sqlite_master where type = 'table'")}
