"""URLs of SQLite files: one function that makes them, one that reads them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


def sqlite_url(path: Path) -> str:
    """Return the URL under which SQLAlchemy, MLflow and DBOS open a SQLite file.

    Args:
        path: Of the file; any characters that a file system takes.

    Example:
        >>> sqlite_url(Path("/runs/mlflow.db"))
        'sqlite:////runs/mlflow.db'
        >>> sqlite_url(Path("/50%/mlflow.db"))
        'sqlite+pysqlite:////50%25/mlflow.db'
    """
    url = URL.create("sqlite", database=str(path))
    if "%" in url.render_as_string():
        # Of a URL that begins with sqlite:/// MLflow makes the folder as it is spelled there, with
        # its %25, before it opens the file.
        url = url.set(drivername="sqlite+pysqlite")
    return str(url.render_as_string())


def sqlite_path(url: str) -> Path | None:
    """Return the file that a URL names, None where it names no SQLite file.

    Args:
        url: Of a database or of an MLflow store; also one that nobody can read.

    Example:
        >>> sqlite_path("sqlite+pysqlite:////50%25/mlflow.db")
        PosixPath('/50%/mlflow.db')
        >>> sqlite_path("http://tracking:5000"), sqlite_path("sqlite://")
        (None, None)
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        return None
    if not parsed.drivername.startswith("sqlite") or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))
