"""The process that is asked something: `python -m handssl.doctor.answer MODULE:FUNCTION ARGUMENTS`.

The arguments are written in JSON; the last line on stdout is the answer.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from handssl.errors import HandsslError

_CHARACTERS = 400


def main(function: str, arguments: str) -> None:
    """Call, and print the answer or the error in one line."""
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


if __name__ == "__main__":
    main(*sys.argv[1:])
