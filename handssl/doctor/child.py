"""Calls of functions that may hang or crash, in a separate process."""

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
_PROGRAM = "handssl.doctor.child_main"
_CHARACTERS = 400


class NoAnswerError(HandsslError):
    """The process failed, was killed, or took too long; the message is one line."""


def ask(function: str, *arguments: Any, timeout_s: float) -> dict[str, Any]:
    """Call a function in a separate process, and end that process and all its descendants.

    Args:
        function: `module:name` of a function that returns a JSON object.
        arguments: Its arguments, JSON values.
        timeout_s: Timeout of the whole call, seconds.

    Returns:
        The function's result.

    Raises:
        NoAnswerError: The function raised, the process was killed, or the timeout expired.

    Example:
        >>> ask("handssl.doctor.child_main:echo", "here", timeout_s=60)
        {'said': 'here'}
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        # Files, not pipes: a grandchild that holds a pipe open would block reading.
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", _PROGRAM, function, json.dumps(arguments)],
            stdin=subprocess.PIPE,
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
    # Have the child import the same handssl as this process, whatever the current folder holds.
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its descendants, by pid, if it is still running."""
    if process.poll() is None:
        _kill_family(process)
    assert process.stdin is not None  # noqa: S101  it was requested as a pipe
    process.stdin.close()


def _kill_family(process: subprocess.Popen[bytes]) -> None:
    import psutil

    root = psutil.Process(process.pid)
    family = [*root.children(recursive=True), root]
    for member in family:
        # Suspended first, so that none starts another process while the rest are killed.
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
    reason = errors.splitlines()[-1][:_CHARACTERS] if errors else "no output"
    how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
    raise NoAnswerError(f"its process {how}: {reason}")
