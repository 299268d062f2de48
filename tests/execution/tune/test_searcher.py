"""Which trial is handed out next where other drivers want the same: nothing is lost between two."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from handssl.errors import InterruptedStudyError
from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.execution.coordination import PeerCoordinator
from handssl.execution.recorder import Recorder
from handssl.execution.study_runner import Sweep
from handssl.execution.trial_claims import TrialClaims
from handssl.execution.tune.executor import TuneReporter, segments_in_tune
from handssl.execution.tune.searcher import TuneSearcher, TuneStopper
from handssl.ledger import Ledger
from handssl.ledger.claims import study_key
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.resources import divided
from handssl.runtime.interruption import Interruption
from handssl.study.events import Ended, WorkerEvent
from handssl.study.study import Study
from handssl.study.trials import plan_study, stage_scheduler
from tests.scheduling.test_stage_scheduler import Nothing

EPOCHS = 2
STUDY = Study.parse(
    {
        "name": "one",
        "cells": [{"composition": name} for name in ("blur", "cutout")],
        "pretrain": {"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
        "halving": None,
        "references": False,
    }
)
TRIALS = plan_study(STUDY, "data")
BLUR, CUTOUT = TRIALS


class Driver:
    """All parts of a driver but Ray, whose calls the test makes."""

    def __init__(self, storage, name="one"):
        study, self.told = STUDY.merged({"name": name}), []
        self.ledger = Ledger(storage)
        self.scheduler = stage_scheduler(study, "objectives", TRIALS, self.ledger)
        self.recorder = Recorder(study, self.ledger, Nothing(), self.told.append)
        self.hold = TrialClaims(self.ledger.claims, name)
        parts = (self.scheduler, self.recorder, self.hold)
        self.peers = PeerCoordinator(*parts, self.ledger, name, self.told.append)
        own = (self.scheduler, self.recorder, self.peers)
        self.dispatch = TuneSearcher(*own, queue=4, options=ExecutionOptions())
        self.dispatch.next_wave()
        rest = {"peers": self.peers, "storage": storage, "on_over": lambda: None}
        sweeping = SimpleNamespace(
            scheduler=self.scheduler, recorder=self.recorder, hold=self.hold, **rest
        )
        self.bridge = TuneReporter(sweeping, self.dispatch)
        self.judge = TuneStopper(self.scheduler, self.hold)

    def start(self, trial):
        """Let Tune turn to the segment of a trial; return it as Tune knows it."""
        told = SimpleNamespace(config={"trial_id": trial.trial_id}, last_result={})
        self.bridge.on_trial_start(0, [], told)
        return told

    def report(self, told, epoch, segment):
        """Let an actor end an epoch of a segment; return whether Tune goes on with it."""
        metrics = {PRIMARY_METRIC: 70.0 - epoch}
        result = {"epoch": epoch, "metrics": metrics, PRIMARY_METRIC: metrics[PRIMARY_METRIC]}
        done = {"done": True, "outcome": "completed"} if epoch == EPOCHS else {}
        result |= done
        if not done and self.judge.on_trial_result(None, told, result) == "CONTINUE":
            self.bridge.on_trial_result(0, [], told, result)
            return True
        self.bridge.on_trial_result(0, [], told, result)
        told.last_result = result
        self.judge.on_trial_complete(None, told, result)
        self.dispatch.on_trial_complete(segment, result)
        self.bridge.on_trial_complete(0, [], told)
        return False

    def train(self, trial, segment):
        """Train a trial to its end."""
        told = self.start(trial)
        return [self.report(told, epoch, segment) for epoch in range(1, EPOCHS + 1)]

    def outcomes(self):
        return [(e.trial, e.outcome) for e in self.told if isinstance(e, Ended)]


@pytest.fixture
def first(tmp_path, monkeypatch):
    monkeypatch.setattr("handssl.execution.trial_claims.RETRY_S", 0.0)
    driver = Driver(tmp_path)
    yield driver
    driver.hold.__exit__(None, None, None)


def take_over(driver, key):
    """Have another driver claim what this one has held until its lease was over."""
    driver.ledger.claims.release([key])
    other = Ledger(driver.ledger.storage)
    assert other.claims.take([key])
    driver.hold.renew()
    return other


def test_a_trial_that_another_driver_has_taken_over_is_awaited(first):
    handed = [first.dispatch.suggest(name)["trial_id"] for name in "ab"]
    assert handed == [BLUR.trial_id, CUTOUT.trial_id]
    blur = first.start(BLUR)
    other = take_over(first, BLUR.trial_id)
    assert not first.report(blur, 1, "a")
    assert first.train(CUTOUT, "b") == [True, False]
    assert first.dispatch.suggest("c") is None  # and not FINISHED: there is somebody to wait for
    assert first.scheduler.unfinished == (BLUR,)
    assert first.ledger.history(BLUR.trial_id) == []
    other.claims.release()  # the other has given up
    assert first.dispatch.suggest("d")["trial_id"] == BLUR.trial_id
    first.train(BLUR, "d")
    assert first.dispatch.suggest("e") == "FINISHED"
    assert first.scheduler.unfinished == ()


def test_a_last_epoch_that_comes_after_the_trial_was_lost_is_the_others_to_record(first):
    first.dispatch.suggest("a")
    blur = first.start(BLUR)
    first.report(blur, 1, "a")
    other = take_over(first, BLUR.trial_id)
    assert not first.report(blur, 2, "a")
    assert first.scheduler.missing == TRIALS
    assert len(first.ledger.history(BLUR.trial_id)) == 1
    assert first.dispatch.suggest("b")["trial_id"] == CUTOUT.trial_id
    assert first.dispatch.suggest("c") is None
    other.close()


def test_a_driver_whose_study_was_taken_over_knows_it(first):
    first.hold.renew()
    assert not first.hold.is_study_lost
    take_over(first, study_key("one"))
    assert first.hold.is_study_lost


@pytest.fixture
def orphan(first, tmp_path):
    """A trial whose every epoch another driver has recorded; that one died before its outcome."""
    other = Driver(tmp_path, "other")
    assert other.peers.take(BLUR)
    assert first.dispatch.suggest("a")["trial_id"] == CUTOUT.trial_id
    other.recorder.start(BLUR)
    for epoch in range(1, EPOCHS + 1):
        metrics = {PRIMARY_METRIC: 70.0 - epoch}
        entries = other.scheduler.entries(BLUR, epoch, metrics)
        other.recorder.epoch(BLUR, epoch, metrics, 0.0, entries)
    yield other
    other.hold.__exit__(None, None, None)


def test_a_trial_with_every_epoch_and_no_outcome_is_ended_and_not_handed_out(first, orphan):
    first.peers.refresh()
    assert first.dispatch.suggest("b") is None
    orphan.hold.release(BLUR.trial_id)
    first.peers.refresh()
    assert first.dispatch.suggest("c") is None
    assert first.ledger.load(BLUR.trial_id).outcome == "completed"
    assert first.outcomes() == [(BLUR, "completed")]
    assert BLUR.trial_id not in first.ledger.claims.holders()
    first.train(CUTOUT, "a")
    assert first.dispatch.suggest("d") == "FINISHED"


def test_one_that_is_found_whole_when_it_is_claimed_is_ended_too(first, orphan):
    orphan.hold.release(BLUR.trial_id)
    assert not first.peers.take(BLUR)
    assert first.outcomes() == [(BLUR, "completed")]


def test_a_trial_that_is_cancelled_in_the_queue_of_tune_ends_once(first):
    first.dispatch.suggest("a")
    first.ledger.ask("one", "cancel", cell=BLUR.cell)
    first.peers.refresh()
    blur = first.start(BLUR)
    assert not first.report(blur, 1, "a")
    assert first.outcomes() == [(BLUR, "cancelled")]
    assert first.ledger.load(BLUR.trial_id).outcome == "cancelled"
    assert first.ledger.history(BLUR.trial_id) == []


def sweep_of(driver, storage):
    with Interruption() as interruption:
        found = Sweep(STUDY, storage, f"sqlite:///{storage}/mlflow.db", interruption)
    found.peers, found.hold = driver.peers, driver.hold
    return found


def test_a_stage_with_trials_that_were_not_run_ends_the_run_before_it_chooses(first, tmp_path):
    sweep, told = sweep_of(first, tmp_path), []
    first.train(BLUR, "a")
    with pytest.raises(InterruptedStudyError):
        sweep._require_over(first.scheduler, told.append)
    assert sweep.ended_by == "missing trials"
    assert [event.message for event in told] == [
        "1 trials are not over, the first is contrastive cutout, block 1"
    ]
    first.train(CUTOUT, "b")
    sweep._require_over(first.scheduler, told.append)


def test_a_driver_whose_study_was_taken_over_ends(first, tmp_path):
    sweep, told = sweep_of(first, tmp_path), []
    sweep._on_step(told.append, owned=False)
    first.hold.is_study_lost = True
    with pytest.raises(InterruptedStudyError):
        sweep._on_step(told.append, owned=False)
    assert sweep.ended_by == "another driver"


def suspend(driver, *keys):
    """Have another driver claim what this one still believes to hold."""
    driver.ledger.claims.lease_s = -1.0
    driver.hold.renew()
    other = Ledger(driver.ledger.storage)
    for key in keys:
        assert other.claims.take([key])
    return other


def test_an_epoch_that_arrives_before_the_loss_is_known_is_not_recorded(first):
    first.dispatch.suggest("a")
    blur = first.start(BLUR)
    other = suspend(first, BLUR.trial_id)
    first.report(blur, 1, "a")
    assert other.history(BLUR.trial_id) == []
    assert not first.report(blur, 2, "a")
    assert other.load(BLUR.trial_id).outcome == "running"
    assert first.outcomes() == []
    assert first.dispatch.suggest("b")["trial_id"] == CUTOUT.trial_id
    other.close()


def test_a_driver_that_resumes_in_the_middle_of_an_epoch_ends_and_records_nothing(first, tmp_path):
    first.dispatch.suggest("a")
    blur, sweep, told = first.start(BLUR), sweep_of(first, tmp_path), []
    other = suspend(first, study_key("one"), BLUR.trial_id)
    first.report(blur, 1, "a")
    with pytest.raises(InterruptedStudyError):
        sweep._on_step(told.append, owned=False)
    assert sweep.ended_by == "another driver"
    assert other.history(BLUR.trial_id) == []
    other.close()


def test_a_worker_that_was_reported_to_stop_has_its_trial_awaited(first):
    segment = first.dispatch.suggest("a")
    assert segment["token"] == first.ledger.claims.fence(BLUR.trial_id).token
    blur, other = first.start(BLUR), suspend(first, BLUR.trial_id)
    end = {
        "epoch": 1,
        "metrics": {},
        PRIMARY_METRIC: float("nan"),
        "done": True,
        "outcome": "taken over",
    }
    first.bridge.on_trial_result(0, [], blur, end)
    blur.last_result = end
    first.judge.on_trial_complete(None, blur, end)
    first.dispatch.on_trial_complete("a", end)
    first.bridge.on_trial_complete(0, [], blur)
    assert first.outcomes() == []
    assert first.dispatch.suggest("b")["trial_id"] == CUTOUT.trial_id
    assert first.dispatch.suggest("c") is None
    other.close()


def test_neither_a_missing_trace_nor_a_missing_error_file_of_tune_is_a_failure(first, tmp_path):
    for error_file in (None, str(tmp_path / "gone")):
        first.dispatch.suggest("a")
        blur = first.start(BLUR)
        blur.error_file = error_file
        first.dispatch.on_trial_complete("a", error=True)
        first.bridge.on_trial_error(0, [], blur)
    notices = [event.text for event in first.told if isinstance(event, WorkerEvent)]
    assert ["its process was lost" in text for text in notices] == [True, True]


@pytest.mark.parametrize("most", [1, 2])
def test_tune_never_has_more_trials_than_may_run_at_once(first, most):
    options = ExecutionOptions(max_concurrent_trials=most)
    queue = segments_in_tune(divided(8, 0, options), most)  # 8 free CPUs would take 8 trials
    parts = (first.scheduler, first.recorder, first.peers)
    dispatch = TuneSearcher(*parts, queue=queue, options=options)
    dispatch.next_wave()
    handed_out = [dispatch.suggest(f"tune {number}") for number in range(4)]
    assert len([segment for segment in handed_out if segment]) == most
