"""Protection of secrets in command lines, messages, logs and tracebacks."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from handssl.runtime.secrets import masked, require_no_secret


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Refuse a command line with a password or token, which every user of the machine can read.

    Args:
        arguments: Arguments without the program's name.

    Raises:
        InputError: One of them holds a secret.

    Example:
        >>> refuse_secrets(["serve", "--database", "postgresql://ada@db/x"])
    """
    option = ""
    for word in arguments:
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        require_no_secret(name or option or "argument", value if equals or not name else name)
        option = name if not equals else ""


def mask_outputs() -> None:
    """Mask all log messages of this process, from any logger, and its tracebacks."""
    make_record = logging.getLogRecordFactory()

    def factory(*words: Any, **values: Any) -> logging.LogRecord:
        return _masked_record(make_record(*words, **values))

    logging.setLogRecordFactory(factory)
    sys.excepthook = _show
    threading.excepthook = lambda one: _show(one.exc_type, one.exc_value, one.exc_traceback)


def _masked_record(record: logging.LogRecord) -> logging.LogRecord:
    text = record.getMessage()
    if (shown := masked(text)) != text:
        record.msg, record.args = shown, ()
    if record.exc_info and record.exc_info[0]:
        # Formatters use this text if it is already set.
        record.exc_text = masked("".join(traceback.format_exception(*record.exc_info)).rstrip())
    return record


def _show(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, SystemExit):
        return
    sys.stderr.write(masked("".join(traceback.format_exception(kind, error, trace))))
