"""The process that is asked something: `python -m handssl.doctor.answer MODULE:FUNCTION ARGUMENTS`.

The arguments are written in JSON; the last line on stdout is the answer.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
from typing import Any

from handssl.errors import HandsslError

_CHARACTERS = 400


def main(function: str, arguments: str) -> None:
    """Call, and print the answer or the error in one line."""
    threading.Thread(target=_end_with_asker, daemon=True).start()
    module, _, name = function.partition(":")
    try:
        answer = getattr(importlib.import_module(module), name)(*json.loads(arguments))
    except Exception as error:
        text = " ".join(str(error).split())[:_CHARACTERS]
        named = text if isinstance(error, HandsslError) else f"{type(error).__name__}: {text}"
        answer = {"error": named}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def echo(text: str) -> dict[str, Any]:
    """Answer with what was asked."""
    return {"said": text}


def _end_with_asker() -> None:
    """Leave, with all that was started, when the asker is gone, who holds the end of stdin."""
    # Not through sys.stdin, whose lock would be held when the interpreter ends.
    os.read(0, 1)
    with contextlib.suppress(Exception):  # whatever is wrong here, nothing may stay
        import psutil

        for descendant in psutil.Process().children(recursive=True):
            descendant.kill()
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
