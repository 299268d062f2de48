"""An attempt of a job that stood still: another driver takes its study over, the job ends once."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import psutil
import pytest

from handssl.ledger import Ledger
from tests.service.lab import Lab, lab, short_study

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(900)]


def owners(ledger: Ledger) -> set[int]:
    """Return the process that has claimed the study."""
    held = ledger.claims.holders().items()
    return {int(owner.split(":")[1]) for name, owner in held if name.startswith("study:")}


def another_driver(of: Lab, name: str) -> subprocess.Popen[bytes]:
    """Run the job's study by hand, with a Ray of its own."""
    study = of.folder / "jobs" / name / "study.yaml"
    words = ["study", "run", str(study), "--storage", str(of.folder), "--patience", "300"]
    with (of.folder / "jobs" / name / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "handssl.cli", *words],
            stdout=log,
            stderr=log,
            env=of.env,
            cwd=of.folder,
        )


def test_an_attempt_that_stood_still_beyond_its_lease_counts_as_lost_and_no_epoch_is_made_twice(
    tmp_path,
):
    env = {"HANDSSL_LEASE": "8"}
    with lab(tmp_path / "lab", env=env) as of, contextlib.closing(Ledger(of.folder)) as ledger:
        [name] = of.submit([short_study(1, epochs=40)])
        of.until(lambda: any(one.epoch > 1 for one in ledger.all()), "epochs")
        pids = {*owners(ledger), *(one.pid for one in of.drivers())}
        still = [psutil.Process(pid) for pid in pids]
        for process in still:
            process.suspend()
        other = another_driver(of, name)
        of.until(lambda: bool(owners(ledger) - pids), "the other")
        for process in still:
            process.resume()
        of.until(lambda: of.queue.get(name).attempt == 2, "the second attempt")
        assert other.wait(300) == 0, of.log()
        assert of.finish([name]) == {name: "succeeded"}, of.log()
        [record] = ledger.all()
        assert [row.epoch for row in ledger.history(record.trial_id)] == list(range(1, 41))
        job = of.queue.get(name)
        assert (job.attempt, job.lost, record.outcome) == (2, 1, "completed")
        assert "has taken the study over" in of.job_log(name)
