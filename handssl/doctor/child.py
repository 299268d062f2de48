"""Questions that may hang or take their process down are asked in a process of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import handssl
from handssl.errors import HandsslError

_ROOT = Path(handssl.__file__).parents[1]
_PROGRAM = "handssl.doctor.answer"
_CHARACTERS = 400


class NoAnswerError(HandsslError):
    """The process failed, died, or took too long; the message is one line."""


def ask(function: str, *arguments: Any, timeout_s: float) -> dict[str, Any]:
    """Call a function in a process of its own, and end that process and all it has started.

    Args:
        function: `module:name`; returns what JSON can hold.
        arguments: Likewise.
        timeout_s: For all of it.

    Returns:
        What the function returned.

    Raises:
        NoAnswerError: The function raised, the process died, or the time was over.

    Example:
        >>> ask("handssl.doctor.answer:echo", "here", timeout_s=60)
        {'said': 'here'}
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        # Files, not pipes: a grandchild that holds a pipe open could not be waited for.
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", _PROGRAM, function, json.dumps(arguments)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            env=_environment(),
            start_new_session=True,
        )
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise NoAnswerError(f"no answer within {timeout_s:g} s") from None
        finally:
            _end(process)
        return _answer(process.returncode, _text(out), _text(errors))


def _environment() -> dict[str, str]:
    # The same handssl as here, whatever the current folder holds.
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a process and its descendants, by number."""
    if process.poll() is not None:
        return
    import psutil

    root = psutil.Process(process.pid)
    family = [*root.children(recursive=True), root]
    for member in family:
        # Stopped first, so that none starts another while the rest are ended.
        _signal(member, "suspend")
    for member in family:
        _signal(member, "kill")
    process.wait()
    psutil.wait_procs(family, timeout=5.0)


def _signal(member: Any, what: str) -> None:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        getattr(member, what)()


def _answer(code: int, out: str, errors: str) -> dict[str, Any]:
    last = out.splitlines()[-1] if out else ""
    try:
        answer = json.loads(last)
    except ValueError:
        answer = None
    if code == 0 and isinstance(answer, dict):
        if "error" in answer:
            raise NoAnswerError(str(answer["error"]))
        return answer
    reason = errors.splitlines()[-1][:_CHARACTERS] if errors else "it said nothing"
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    raise NoAnswerError(f"its process {how}: {reason}")
