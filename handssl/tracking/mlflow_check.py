"""Check that an MLflow store can be used, leaving as little behind as it allows.

A SQLite file is not changed at all: its tables are copied empty, and MLflow writes to the copy.
Elsewhere the experiment `handssl-doctor` is created or restored, written, and deleted again.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from handssl.errors import DataError
from handssl.runtime.sqlite_url import sqlite_path, sqlite_url
from handssl.tracking.mlflow_client import connect

EXPERIMENT = "handssl-doctor"
_BUSY_S = 5.0
_VERSIONS = "alembic_version"


def check_mlflow(tracking_uri: str) -> dict[str, Any]:
    """Write to a store and read back.

    Args:
        tracking_uri: `sqlite:///...` or a server's address.

    Returns:
        `state`: text that describes what was done.

    Raises:
        DataError: It is not an MLflow store, or cannot be written.
    """
    try:
        if (file := sqlite_path(tracking_uri)) is not None:
            return {"state": _look_at_file(file)}
        _write(tracking_uri)
    except MlflowException as error:
        # Another kind of server answers with a web page, which is left out of the message.
        raise DataError(str(error).partition(" Response body")[0]) from None
    return {"state": f"an experiment {EXPERIMENT} could be written and was deleted again"}


def _look_at_file(path: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="handssl-doctor-") as folder:
        copy = Path(folder) / "mlflow.db"
        there = path.exists() and path.stat().st_size > 0
        if there:
            _copy_tables(path, copy)
        _write(sqlite_url(copy))
    if not there:
        return "does not exist yet; MLflow can create it"
    _check_lock(path)
    return "can be read and written (tried on a copy of its tables)"


def _write(tracking_uri: str) -> None:
    client, experiment = connect(tracking_uri, EXPERIMENT)
    try:
        run_id = client.create_run(experiment).info.run_id
        client.log_metric(run_id, "written", 1.0)
        found = client.get_run(run_id).data.metrics
        client.delete_run(run_id)
    finally:
        client.delete_experiment(experiment)
    if found != {"written": 1.0}:
        raise DataError(f"wrote the metric written = 1, read back {found}")


def _copy_tables(path: Path, copy: Path) -> None:
    """Copy the tables without their rows, and the version of their schema."""
    with _reading(path) as base, closing(sqlite3.connect(copy)) as other, other:
        kinds = "type in ('table', 'index') and sql is not null and name not like 'sqlite_%'"
        found = base.execute(f"select sql, name from sqlite_master where {kinds}").fetchall()  # noqa: S608
        if _VERSIONS not in {name for _, name in found}:
            raise DataError(f"{path}: expected an MLflow database, found another one")
        for text, _ in sorted(found, key=lambda row: not row[0].lower().startswith("create table")):
            other.execute(text)
        rows = base.execute(f"select version_num from {_VERSIONS}").fetchall()  # noqa: S608
        other.executemany(f"insert into {_VERSIONS} values (?)", rows)  # noqa: S608


def _check_lock(path: Path) -> None:
    """Take the lock for writing, and write nothing."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as base:
        base.execute(f"pragma busy_timeout = {int(_BUSY_S * 1000)}")
        try:
            base.execute("begin immediate")
            base.execute("rollback")
        except sqlite3.Error as error:
            raise DataError(f"{path} cannot be written: {error}") from None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            yield base
    except sqlite3.Error as error:
        raise DataError(f"{path}: expected an MLflow database, found {error}") from None
