"""Errors of the database: which of them may pass, and what to do about the others."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

_BUSY = ("55P03", "40P01", "25P03")  # lock timeout, deadlock, idle-in-transaction timeout
_REFUSALS = (
    *("password", "authentication", "does not exist", "pg_hba.conf", "permission denied"),
    *("not permitted to log in", "invalid sslmode", "does not support SSL", "certificate"),
)
_ADVICE = {
    "disk is full": "free some space and run the same command again, nothing recorded is lost",
    "malformed": "restore it from a backup, or move it away to start again",
    "not a database": "restore it from a backup, or move it away to start again",
    "readonly": "choose a storage that can be written",
    "unable to open": "choose a storage that can be written",
    "locked": "another process holds the lock: if it was suspended during a write, resume it with "
    "`kill -CONT PID`. Is the storage on a network file system? Use PostgreSQL there",
    "lock timeout": "another process holds the lock; run the same command again once it has ended",
    "connection": "is the server up, and is the URL right?",
}


def may_pass(error: SQLAlchemyError) -> bool:
    """Return whether the same operation may succeed later.

    It may if a connection was lost or could not be made because no server answered, or if another
    process holds a lock. A statement that fails on a working connection is wrong, or is rejected by
    the database: waiting changes neither.
    """
    if not isinstance(error, DBAPIError):
        return False
    is_busy = "is locked" in str(error.orig) or getattr(error.orig, "sqlstate", "") in _BUSY
    if error.connection_invalidated or is_busy:
        return True
    # Errors from a server have a code, except if it refuses a connection.
    connecting = isinstance(error, OperationalError) and error.statement is None
    unmade = connecting and getattr(error.orig, "sqlstate", "") is None
    return unmade and not any(sign in str(error.orig) for sign in _REFUSALS)


def reason(error: SQLAlchemyError) -> str:
    """Return the first line of an error, with what to do about it where that is known."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    for sign, advice in _ADVICE.items():
        if sign in text:
            return f"{text}; {advice}"
    return text
