"""Functions that go wrong in a process of their own, and small disks to fill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def hang(pids):
    """Start a process that sleeps, write down both numbers, and sleep."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    partial = Path(f"{pids}.partial")
    partial.write_text(json.dumps([os.getpid(), child.pid]))
    partial.replace(pids)
    time.sleep(600)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def refuse():
    raise ValueError("not\ntoday")


def leave():
    sys.exit(3)


FIND = """
import json, sys
from dataclasses import asdict
from pathlib import Path

from handssl.doctor import Settings, diagnose

options = json.loads(sys.argv[1])
settings = Settings(**{k: Path(v) if k in ("storage", "shm") else v for k, v in options.items()})
print(json.dumps([asdict(finding) for finding in diagnose(settings, checks=sys.argv[2:])]))
"""


def found_on_small_disk(point, options, checks, *, mount, prepare=""):
    """Run checks where a tmpfs is mounted that nobody else sees; skip where that is not allowed."""
    point.mkdir()
    allowed = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(point)]
    try:
        subprocess.run(allowed, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems cannot be mounted here")
    values = {"storage": str(point), "tracking_uri": "", **options}
    script = f"mount -t tmpfs -o {mount} none '{point}' && {prepare or ':'}; exec \"$@\""
    words = [sys.executable, "-c", FIND, json.dumps(values), *checks]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
