"""URLs of SQLite files: one function that builds them, one that parses them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


def sqlite_url(path: Path) -> str:
    """Return the URL under which SQLAlchemy, MLflow and DBOS open a SQLite file.

    Args:
        path: Path of the file; may have any characters that the file system allows.

    Example:
        >>> sqlite_url(Path("/runs/mlflow.db"))
        'sqlite:////runs/mlflow.db'
        >>> sqlite_url(Path("/50%/mlflow.db"))
        'sqlite+pysqlite:////50%25/mlflow.db'
    """
    url = URL.create("sqlite", database=str(path))
    if "%" in url.render_as_string():
        # For a URL that begins with sqlite:/// MLflow creates the folder as spelled there, with
        # its %25, before it opens the file.
        url = url.set(drivername="sqlite+pysqlite")
    return str(url.render_as_string())


def sqlite_path(url: str) -> Path | None:
    """Return the file that a URL names, None if it names no SQLite file.

    Args:
        url: URL of a database or an MLflow store; it may be malformed.

    Example:
        >>> sqlite_path("sqlite+pysqlite:////50%25/mlflow.db")
        PosixPath('/50%/mlflow.db')
        >>> sqlite_path("http://tracking:5000"), sqlite_path("sqlite://")
        (None, None)
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError if the port is not a number
        return None
    if not parsed.drivername.startswith("sqlite") or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))
