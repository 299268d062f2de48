"""Child process of a check: `python -m handssl.doctor.child_main MODULE:FUNCTION ARGUMENTS`.

The arguments are JSON; the last line on stdout is the result in JSON.
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
    """Call the function, and print its result or the error as one line of JSON."""
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
    """Return the text that was passed, for tests."""
    return {"said": text}


def _end_with_asker() -> None:
    """Exit and kill all descendants when the parent, which holds the end of stdin, is gone."""
    # Not through sys.stdin, whose lock would be held when the interpreter ends.
    os.read(0, 1)
    with contextlib.suppress(Exception):  # whatever fails here, this process must exit
        import psutil

        for descendant in psutil.Process().children(recursive=True):
            descendant.kill()
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
