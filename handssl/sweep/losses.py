"""Why a process is gone, in plain words."""

from __future__ import annotations

# What stands in Ray's text, and what it means; the first that fits.
_MEANINGS = (
    ("low on memory", "its node ran out of memory and ended it"),
    ("its node", "its node is gone"),
    ("worker process has died", "it crashed or was killed"),
    ("is unavailable", "it or its node is gone"),
)


def said_of_loss(text: str) -> str:
    """Return what Ray says of a process that is gone, without its ids and guesses.

    Args:
        text: Traceback of the call that had no answer.

    Returns:
        A few words; Ray's own last line where it says something else.

    Example:
        >>> said_of_loss("The actor 65de is unavailable: RpcError: recvmsg:Connection reset")
        'it or its node is gone'
    """
    lines = text.strip().splitlines() or ["it said nothing"]
    meant = (plain for sign, plain in _MEANINGS if sign in text)
    return next(meant, lines[-1].strip())
