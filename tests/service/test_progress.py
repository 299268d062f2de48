"""How far a job is: what it has used is its own, whatever others used of the same study."""

from __future__ import annotations

import pytest

from handssl.execution.recorder import Recorder
from handssl.ledger import Ledger
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.queue.admission import admit
from handssl.service.queue.job import JobRequest
from handssl.study.study import Study
from handssl.study.trials import plan_study
from tests.service.services import service, study

NO_DATA = "no trial yet"  # fingerprint for studies without data and trials
HOUR_S = 3600.0
CELLS = study(cells=[{"composition": ["rotate"]}, {"composition": ["blur"]}], references=False)


class Silent:
    """Stands in for MLflow."""

    def __getattr__(self, name):
        return lambda *_: None


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A service whose jobs start and train when they are told, by a clock of the test's."""
    return Lab(service(tmp_path), monkeypatch)


class Lab:
    def __init__(self, of, monkeypatch):
        self.of, self.now_s = of, 1_000_000.0
        monkeypatch.setattr("handssl.ledger.ledger.now_ms", lambda: int(self.now_s * 1000))
        monkeypatch.setattr(of.queue.database, "now_s", lambda connection: self.now_s)
        planned = Study.parse(CELLS)
        self.trials = plan_study(planned, NO_DATA)
        self.recorder = Recorder(planned, Ledger(of.storage), Silent(), lambda event: None)

    def start(self, job=None):
        if job is None:
            [(job, _)] = self.of.queue.submit([JobRequest(study=CELLS, again=True)], user="ada")
        assert self.of.lease.take()
        [job] = admit(self.of.queue, self.of.lease, self.of.limits, lambda *_: None)
        return job

    def train(self, number, epoch, devices):
        """Let a trial end an epoch of an hour."""
        self.now_s += HOUR_S
        self.recorder.devices = devices
        if not self.recorder.is_running(self.trials[number]):
            self.recorder.start(self.trials[number])
        self.recorder.epoch(self.trials[number], epoch, {"median_mm": 50.0}, HOUR_S)

    def end(self, job, outcome):
        self.now_s += 1
        return finish(self.of.queue, job.id, job.attempt, outcome)

    def used_hours(self, job):
        return self.of.progress(self.of.queue.get(job.id)).used_hours


def test_a_job_has_used_what_its_trials_were_given(lab):
    job = lab.start()
    lab.train(0, 1, devices=0.25)
    lab.train(1, 1, devices=2.0)
    assert lab.used_hours(job) == 2.25


def test_a_job_of_a_study_that_was_run_before_begins_with_nothing_used(lab):
    first = lab.start()
    lab.train(0, 1, devices=1.0)
    lab.end(first, Outcome("exited", 0))
    lab.now_s += 1
    second = lab.start()
    assert lab.used_hours(second) == 0
    lab.train(1, 1, devices=0.5)
    assert (lab.used_hours(first), lab.used_hours(second)) == (1.0, 0.5)


def test_all_attempts_of_a_job_count(lab):
    job = lab.start()
    lab.train(0, 1, devices=1.0)
    lab.end(job, Outcome("lost", message="gone"))
    again = lab.start(job)
    assert again.attempt == 2
    lab.train(0, 2, devices=1.0)
    lab.end(again, Outcome("stopped", reason="budget"))
    lab.of.queue.retry(job.id, gpu_hours=9.0)
    lab.start(job)
    lab.train(1, 1, devices=1.0)
    assert lab.used_hours(job) == 3.0


def test_a_job_that_was_never_started_has_used_nothing(lab):
    [(job, _)] = lab.of.queue.submit([JobRequest(study=CELLS)], user="ada")
    lab.train(0, 1, devices=1.0)
    assert lab.used_hours(job) == 0
