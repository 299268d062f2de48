"""Trials that follow a script instead of training: for what happens around them.

`install` runs in every process of a Ray that was started with `HOOK`. The script is a JSON file,
named by the environment: cell -> {epoch: what happens there}. What a trial has made is kept in its
folder, as checkpoints are, and every epoch that is made leaves a line there, so that one that is
made twice is seen.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import ray

from handssl.execution.tune import trainable
from handssl.randomness import numpy_generator

VARIABLE = "HANDSSL_TEST_SCRIPT"
MADE = "made.txt"


def install() -> None:
    """Put the script in the place of training, in this process."""
    trainable.trial_results = results


def results(trial: Any, data: Path, folder: Path, running: Any = None, **_: Any) -> Iterator[Any]:
    """Yield epochs as the script says."""
    if trial.kind != "trial":
        yield 0, {"median_mm": 100.0, "mpje_mm": 110.0}
        return
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / MADE
    known = len(made.read_text().split()) if made.exists() else 0
    happens = json.loads(Path(os.environ[VARIABLE]).read_text())
    for epoch in range(1, trial.config.epochs + 1):
        if epoch > known:
            what = happens.get(trial.cell, {}).get(str(epoch), "")
            yield epoch, act(what, folder, epoch) or metrics(trial, epoch)
        else:
            yield epoch, metrics(trial, epoch)


def act(what: str, folder: Path, epoch: int) -> dict[str, Any] | None:
    """Do what a script says of an epoch; `once` before it is for the first time alone."""
    word = what.removeprefix("once ")
    happened = folder / f"happened-{epoch}"
    if word == "once" or (what.startswith("once ") and happened.exists()):
        word = ""
    if what:
        happened.write_text(f"{os.getpid()}")
    if word == "raise":
        raise ValueError("not today")
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "hang":
        threading.Event().wait()
    if word.startswith("gate"):
        Path(word.split(" ", 1)[1]).read_text()  # a FIFO, until somebody writes
    if word.startswith("sleep"):
        time.sleep(float(word.split()[1]))
    with (folder / MADE).open("a") as file:
        file.write(f"{epoch}\n")
    return {"nan": {"median_mm": math.nan}, "none": {"median_mm": None}}.get(word)


def metrics(trial: Any, epoch: int) -> dict[str, float]:
    """Return a curve that falls to a level which depends on cell and block alone."""
    draw = numpy_generator("scripted", trial.cell, trial.block)
    level, speed = draw.uniform(60, 90), draw.uniform(0.2, 1.0)
    value = float(level + 20 * math.exp(-speed * epoch))
    found = {"median_mm": value, "mpje_mm": value + 5}
    if epoch == trial.config.epochs:
        found |= {"test_median_mm": value + 1, "test_mpje_mm": value + 6}
    return found


@contextmanager
def scripted_ray(script: Path, happens: dict[str, dict[int, str]], cpus: int = 2) -> Iterator[None]:
    """Start a Ray whose trials follow a script; nothing of it is left afterwards."""
    write(script, happens)
    before = psutil.Process().children(recursive=True)
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        object_store_memory=80 * 2**20,
        runtime_env=environment(script),
    )
    try:
        yield
    finally:
        started = [p for p in psutil.Process().children(recursive=True) if p not in before]
        ray.shutdown()
        _, alive = psutil.wait_procs(started, timeout=20)
        for process in alive:
            process.kill()
        assert alive == []


def environment(script: Path) -> dict[str, Any]:
    """Return the runtime environment of such a Ray."""
    return {
        "worker_process_setup_hook": "tests.execution.scripted.install",
        "env_vars": {
            VARIABLE: str(script),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "OMP_NUM_THREADS": "1",
        },
    }


def write(script: Path, happens: dict[str, dict[int, str]]) -> None:
    """Write a script."""
    script.write_text(json.dumps(happens))


def made(storage: Path) -> dict[str, list[int]]:
    """Return the epochs that each trial has made, in order."""
    return {
        path.parent.name: [int(word) for word in path.read_text().split()]
        for path in (storage / "trials").glob(f"*/{MADE}")
    }
