"""Runs handssl as a shell does, and the commands that it prints, as a person who pastes them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What shells, URLs and formats of text have a meaning for.
NAME = "a b%41?c#ü 'd"
_PROGRAM = r"(?:\S*/)?handssl(?= [a-z])"
_IN_TICKS = re.compile(rf"`({_PROGRAM} [^`\n]*)`")
_TO_THE_END = re.compile(rf"(?:^ +|: |with |   )({_PROGRAM} [^`\n]*)$", re.MULTILINE)


class Shell:
    """A shell in a folder of its own.

    Args:
        folder: It is empty.
        settings: Added to the environment.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        bin_ = Path(sys.executable).parent
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("HANDSSL_")}
        # So narrow a terminal would wrap whatever may be wrapped.
        self.env |= {"PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        self.env |= {"COLUMNS": "40", "NO_COLOR": "", "FORCE_COLOR": "1", **settings}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `handssl WORDS`."""
        return self._start([sys.executable, "-m", "handssl.cli", *words])

    def run(self, *words: str, code: int = 0) -> str:
        """Run `handssl WORDS` and return what it printed."""
        return ended(self.start(*words), code)

    def paste(self, line: str, code: int = 0) -> str:
        """Run a command line as it was printed, in `sh`."""
        return ended(self.open(line), code)

    def open(self, line: str) -> subprocess.Popen[str]:
        """Start a command line in `sh`."""
        return self._start(["sh", "-c", line])

    def _start(self, line: list[str]) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(line, cwd=self.folder, env=self.env, text=True, **pipes)


def ended(process: subprocess.Popen[str], code: int = 0, timeout_s: float = 240.0) -> str:
    """Wait for the end of a process and return what it printed."""
    said = process.communicate(timeout=timeout_s)[0]
    assert process.returncode == code, f"{process.args}: {process.returncode}\n{said}"
    return said


def commands(text: str) -> list[str]:
    """Return the commands of handssl in a text that was printed."""
    return [*_IN_TICKS.findall(text), *_TO_THE_END.findall(text)]
