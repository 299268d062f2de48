"""Inspection of a ledger record by record, so that a damaged one does not hide the others."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from handssl.errors import DataError
from handssl.ledger import Ledger
from handssl.ledger.ledger import FILE


def inspect(storage: str) -> dict[str, Any]:
    """Return the number of records, the damaged ones, and damaged checkpoints that were set aside.

    Args:
        storage: Root of all results.

    Raises:
        DataError: The database as a whole cannot be used.
    """
    folder = Path(storage)
    _check_file(folder / FILE)
    ledger = Ledger(folder)
    try:
        ids = _ids(folder / FILE) or [record.trial_id for record in ledger.all()]
        damaged = [trial_id for trial_id in ids if not _is_readable(ledger, trial_id)]
    finally:
        ledger.close()
    aside = sorted(folder.glob("trials/*/checkpoints/*.damaged"))
    return {"records": len(ids), "damaged": damaged, "aside": list(map(str, aside))}


def _check_file(path: Path) -> None:
    """Let SQLite check its file before anything is written to it."""
    if not path.is_file():
        return  # the ledger is on a database server
    try:
        with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as base:
            (answer,) = base.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    finally:
        base.close()
    if answer != "ok":
        raise DataError(f"{path}: {answer}; restore it from a backup, or move it away")


def _ids(path: Path) -> list[str]:
    if not path.is_file():
        return []
    base = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return [row[0] for row in base.execute("select trial_id from trials order by trial_id")]
    finally:
        base.close()


def _is_readable(ledger: Ledger, trial_id: str) -> bool:
    try:
        ledger.load(trial_id)
        ledger.history(trial_id)
    except (DataError, ValueError):  # invalid JSON, or an invalid value
        return False
    return True
