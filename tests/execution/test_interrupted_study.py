"""The one test with everything real: a terminal, Ctrl-C, Ray, trials, and a second run."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from handssl.ledger import Ledger

pytestmark = pytest.mark.faults

TIMEOUT_S = 200.0
STUDY = """
name: interrupted
cells:
  - {composition: [rotate], objective: relative, exempt: true}
  - {composition: [blur]}
references: false
data: {pretrain: 64, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}
pretrain:
  epochs: 40
  global_batch: 32
  encoder: {width: 8, input_px: 32}
  heads: {projection_hidden: 8, projection_out: 8, relative_hidden: 8}
  optimizer: {warmup_epochs: 1}
halving: {grace_epochs: 39}
"""
# Makes the terminal the controlling one, so that ^C reaches the foreground process group.
ON_TERMINAL = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "sys.argv[0] = 'handssl'; from handssl.cli import main; sys.exit(main())"
)


@dataclass
class Terminal:
    """A command on a terminal of its own."""

    process: subprocess.Popen[bytes]
    master: int
    shown: str = ""

    @classmethod
    def run(cls, *arguments: str) -> Terminal:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=os.environ | {"COLUMNS": "200", "TERM": "xterm"},
        )
        os.close(slave)
        return cls(process, master)

    def wait_for(self, pattern: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, f"no {pattern!r} in: {self.shown[-2000:]}"
            assert self.read(), f"ended without {pattern!r}: {self.shown[-2000:]}"

    def read(self) -> bool:
        """Take in what there is; False at the end."""
        if not select.select([self.master], [], [], 1.0)[0]:
            return True
        try:
            self.shown += os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # the terminal's other end is closed
            return False
        return True

    def end(self) -> int:
        deadline = time.monotonic() + TIMEOUT_S
        while self.read():
            assert time.monotonic() < deadline, f"still running: {self.shown[-2000:]}"
        os.close(self.master)
        return self.process.wait(timeout=TIMEOUT_S)


def still_alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.timeout(240)
def test_ctrl_c_leaves_no_process_and_the_next_run_continues(tmp_path: Path) -> None:
    study, storage = tmp_path / "study.yaml", tmp_path / "runs"
    study.write_text(STUDY, encoding="utf-8")
    command = ("study", "run", str(study), "--storage", str(storage))

    terminal = Terminal.run(*command)
    terminal.wait_for(r"relative rotate [3-9]/40")
    started = psutil.Process(terminal.process.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in started)
    os.write(terminal.master, b"\x03")
    terminal.wait_for("Stopping")
    os.write(terminal.master, b"\x03")  # impatience must not cut off the clean-up
    assert terminal.end() == 130
    # Python's own helper processes end when they notice that ours has, a moment later.
    psutil.wait_procs(started, timeout=10)
    assert still_alive(started) == []
    assert "Traceback" not in terminal.shown
    assert "Continue with:" in terminal.shown
    assert f"handssl study run {study} --storage {storage}" in terminal.shown

    store = Ledger(storage)
    kept = store.histories([record.trial_id for record in store.all()])
    assert kept
    assert {store.load(name).outcome for name in kept} == {"running"}  # type: ignore[union-attr]

    done = subprocess.run(
        [sys.executable, "-m", "handssl.cli", *command, "--json"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)["trials"]
    assert [trial["outcome"] for trial in trials] == ["completed", "completed"]
    for trial in trials:
        assert trial["metrics"]["test_median_mm"] > 0
        epochs = [entry.epoch for entry in store.history(trial["trial_id"])]
        assert epochs == list(range(1, 41))
    for name, rows in kept.items():  # measured speeds are among the metrics: not trained again
        assert store.history(name)[: len(rows)] == rows
