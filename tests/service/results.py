"""A storage with the results of two studies, and services that send them."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from safetensors.numpy import save_file

from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.service.components import Service
from handssl.service.queue.job import JobRequest
from handssl.service.results.cache import Results
from handssl.service.results.child import Request, write_results
from handssl.service.results.making import Made, made_of
from tests.service.services import service, study

VALUES = {"relative rotate": (60.0, 62.0), "contrastive blur": (70.5, 71.0)}
STUDY, OTHER = "demo", "secret"


class Counting:
    """Makes results in this process, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, asked: Request) -> Made:
        self.count += 1
        with TemporaryFile() as file:
            began_s = time.monotonic()
            write_results(asked, file)
            return made_of(file, began_s)


def trial_id(number: int) -> str:
    return f"{number:x}" * 16


def add_trial(
    storage: Path, number: int, cell: str, block: int, mm: float, *, study: str = STUDY, **state
) -> TrialRecord:
    """Record a trial and, if it is completed, write its weights."""
    objective, composition = cell.split()
    record = TrialRecord(
        **{"outcome": "completed", "epoch": 2} | state,
        trial_id=trial_id(number),
        study=study,
        stage="objectives",
        cell=cell,
        composition=composition,
        objective=objective,
        block=block,
        epochs=2,
        metrics={"median_mm": mm, "mpje_mm": mm + 5, "test_median_mm": mm + 1},
        config={"encoder": {"width": 16}, "seed": block},
    )
    ledger = Ledger(storage)
    ledger.save(record)
    ledger.append_epoch(record.trial_id, record.epoch, record.metrics)
    if record.outcome == "completed":
        folder = ledger.folder(record.trial_id)
        folder.mkdir(parents=True)
        weights = {"w": np.random.default_rng(number).random(4096)}
        save_file(weights, folder / "encoder.safetensors")
    ledger.close()
    return record


def fill(storage: Path) -> None:
    """Record four trials of a study in two blocks, one that was stopped, and one of another."""
    cells = [(cell, block, mm) for cell, row in VALUES.items() for block, mm in enumerate(row, 1)]
    for number, (cell, block, mm) in enumerate(cells, start=1):
        add_trial(storage, number, cell, block, mm)
    add_trial(storage, 5, "contrastive noise", 1, 90.0, outcome="stopped", epoch=1)
    add_trial(storage, 10, "relative rotate", 1, 1.0, study=OTHER)


def with_results(storage: Path, **options) -> tuple[Service, str]:
    """Return a service with one job that has results, and the job; they are made in this process.

    The service counts in `results.make.count` how often they were made.
    """
    of = service(storage, **options)
    of.results.close()
    of.results = Results(storage, lambda: of.home.tracking_uri, make=Counting())
    fill(storage)
    [(job, _)] = of.queue.submit([JobRequest(study=study(STUDY))], user="ada")
    return of, job.id


def weights_file(storage: Path, number: int) -> Path:
    return storage / "trials" / trial_id(number) / "encoder.safetensors"
