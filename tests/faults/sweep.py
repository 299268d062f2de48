"""A small sweep that faults are put to: its commands, its processes, and what it has recorded.

Everything is done as a user does it: commands with a storage, and files that are read afterwards.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

from handssl.ledger import Ledger

ROOT = Path(__file__).parents[2]
HANG_S = 120.0  # without an epoch, an outcome or the end of a command, a sweep counts as hung
START_S = 300.0  # for what is before the first epoch, on a machine that others use too
PERIOD_S = 0.2
OVER = ("completed", "stopped", "diverged", "failed", "cancelled")
TEMPORARY = (69, 75)  # exit codes after which the same command goes on
STUDY: dict[str, Any] = {
    "name": "faults",
    "data": {"pretrain": 64, "probe": 48, "select": 24, "test": 24, "image_px": 64, "crop_px": 64},
    "cells": [{"composition": name} for name in ("blur", "cutout", "rotate", "translate")],
    "blocks": [1, 2],
    "halving": {"grace_epochs": 2, "reduction_factor": 2.0},
    "references": False,
    "pretrain": {
        "epochs": 6,
        "global_batch": 16,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 1},
    },
}
Table = dict[str, tuple[str, int, tuple[Mapping[str, float], ...]]]


class HungError(AssertionError):
    """A sweep made no progress for too long."""


class Sweep:
    """One storage with the commands that run its study.

    Args:
        folder: Storage, logs and the working directory of all processes, by which they are found.
        ledger: URL of a ledger elsewhere.
        tracking_uri: MLflow server; default: the file in the storage.
        env: Added to the environment of every command.
        options: Added to every command.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ledger: str | None = None,
        tracking_uri: str | None = None,
        env: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.storage, self.ledger = folder, folder / "runs", ledger
        self._study = folder / "study.yaml"
        self._study.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
        self._options = [*options, *(["--tracking-uri", tracking_uri] if tracking_uri else [])]
        self._env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | (env or {})
        if ledger:
            self._env["HANDSSL_LEDGER"] = ledger
        self.commands: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start `handssl study run` on the storage."""
        words = ["study", "run", str(self._study), "--storage", str(self.storage)]
        with (self.folder / f"log.{len(self.commands)}.txt").open("ab") as log:
            command = subprocess.Popen(
                [sys.executable, "-m", "handssl.cli", *words, *self._options, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self.folder,
            )
        self.commands.append(command)
        return command

    def table(self) -> Table:
        """Return all that is recorded of each trial, without times."""
        if self.ledger is None and not (self.storage / "ledger.db").exists():
            return {}
        with contextlib.closing(Ledger(self.storage, self.ledger)) as ledger:
            return {
                record.trial_id: (
                    record.outcome,
                    record.epoch,
                    tuple(
                        {k: v for k, v in row.metrics.items() if not k.endswith("_s")}
                        for row in ledger.history(record.trial_id)
                    ),
                )
                for record in ledger.all()
            }

    def epochs(self) -> int:
        """Return how many epochs all trials have together."""
        return sum(epoch for _, epoch in self._outcomes().values())

    def _outcomes(self) -> dict[str, tuple[str, int]]:
        if self.ledger is None and not (self.storage / "ledger.db").exists():
            return {}
        with contextlib.closing(Ledger(self.storage, self.ledger)) as ledger:
            return {record.trial_id: (record.outcome, record.epoch) for record in ledger.all()}

    def finished_files(self) -> dict[str, int]:
        """Return when the checkpoints of finished trials were written: none is to be run again."""
        over = [name for name, row in self._outcomes().items() if row[0] in OVER]
        files = [f for name in over for f in (self.storage / "trials" / name).glob("checkpoints/*")]
        return {str(file): file.stat().st_mtime_ns for file in files}

    def processes(self, *words: str) -> list[psutil.Process]:
        """Return the processes of the sweep with all these words in their command line."""
        found = [p for p in psutil.process_iter() if _folder(p) == str(self.folder)]
        return [p for p in found if all(word in title(p) for word in words)]

    def until(self, holds: Callable[[], bool], what: str) -> float:
        """Wait for something while the sweep makes progress.

        Returns:
            The longest time without progress, in seconds.

        Raises:
            HungError: There was none for too long.
        """
        last, since, longest = self.epochs_or_none(), time.monotonic(), 0.0
        while not holds():
            now = self.epochs_or_none()
            if now is not None and now != last:
                last, since = now, time.monotonic()
            longest = max(longest, time.monotonic() - since)
            limit_s = HANG_S if last and last[0] else START_S
            if longest > limit_s:
                raise HungError(f"no progress for {limit_s:g} s while waiting for {what}")
            time.sleep(PERIOD_S)
        return longest

    def epochs_or_none(self) -> tuple[int, int] | None:
        """Return epochs and finished trials; None where the ledger cannot be reached."""
        from handssl.errors import DataError

        with contextlib.suppress(DataError):
            rows = self._outcomes().values()
            return sum(row[1] for row in rows), sum(row[0] in OVER for row in rows)
        return None

    def log(self) -> str:
        """Return the last lines of every command."""
        logs = sorted(self.folder.glob("log.*.txt"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs)

    def kill(self) -> None:
        """SIGKILL everything, after a hang."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def close(self) -> list[str]:
        """Wait for processes to end; kill and name those that remain."""
        _, alive = psutil.wait_procs(self.processes(), timeout=60)
        left = [title(process) for process in alive]
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for command in self.commands:
            command.wait(30)
        return left


def mlflow_repeats(file: Path) -> int:
    """Count what MLflow's store holds twice: runs of one trial, and steps of one run.

    Args:
        file: SQLite file of the store.
    """
    runs = (
        "SELECT count(*) - count(DISTINCT value) FROM tags WHERE key = 'trial_id' AND run_uuid IN "
        "(SELECT run_uuid FROM metrics WHERE key = 'train/loss')"
    )
    steps = (
        "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM metrics "
        "WHERE key = 'median_mm' GROUP BY run_uuid, step)"
    )
    with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return int(db.execute(runs).fetchone()[0]) + int(db.execute(steps).fetchone()[0])


def title(process: psutil.Process) -> str:
    """Return a process's command line, empty where it has ended."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _folder(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.cwd()
    return ""
