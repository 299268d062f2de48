from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from handssl.execution.recorder import Recorder, device_s
from handssl.ledger import Ledger
from handssl.study.events import Event
from handssl.study.study import Cell, Study
from handssl.study.trials import plan_study

STUDY = Study(
    name="x", cells=(Cell(composition=("rotate",)), Cell(composition=("blur",))), references=False
)
TRIALS = plan_study(STUDY, "data")
TRIAL, OTHER = TRIALS


class Tracker:
    """Remembers what it was told; stands in for MLflow."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def start(self, record: Any, parameters: dict[str, Any]) -> str:
        self.told.append(("start", record.trial_id, parameters["seed"]))
        return "run"

    def log_epoch(self, record: Any, epoch: int, metrics: dict[str, float]) -> None:
        self.told.append(("epoch", record.trial_id, epoch, metrics))

    def wait(self, record: Any) -> None:
        self.told.append(("wait", record.trial_id, record.outcome))

    def finish(self, record: Any) -> None:
        self.told.append(("finish", record.trial_id, record.outcome))


@pytest.fixture
def store(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def recorder(store: Ledger, events: list[Event] | None = None) -> tuple[Recorder, Tracker]:
    tracker = Tracker()
    told = [] if events is None else events
    return Recorder(STUDY, store, tracker, told.append), tracker


def test_a_trial_that_waits_for_others_is_neither_running_nor_over(store: Ledger) -> None:
    first, tracker = recorder(store)
    assert first.known_epoch(TRIAL) == -1
    first.start(TRIAL)
    first.epoch(TRIAL, 1, {"median_mm": 90.0}, 1.0)
    first.pause(TRIAL)
    assert first.known_epoch(TRIAL) == 1
    assert tracker.told[-1] == ("wait", TRIAL.trial_id, "running")
    first.end(TRIAL, "stopped")
    record = store.load(TRIAL.trial_id)
    assert record is not None
    assert (record.outcome, record.epoch) == ("stopped", 1)
    assert record.metrics["median_mm"] == 90.0


def test_trials_that_wait_are_cut_off_with_those_that_run(store: Ledger) -> None:
    first, tracker = recorder(store)
    first.start(TRIAL)
    first.start(OTHER)
    first.pause(TRIAL)
    first.close()
    cut_off = [("finish", one.trial_id, "running") for one in (OTHER, TRIAL)]
    assert tracker.told[-2:] == cut_off


def test_epochs_reported_again_after_a_restart_are_kept_once(store: Ledger) -> None:
    events: list[Event] = []
    first, _ = recorder(store)
    first.start(TRIAL)
    first.epoch(TRIAL, 1, {"median_mm": 90.0}, 1.0)
    first.close()
    second, _ = recorder(store, events)
    second.start(TRIAL)
    second.epoch(TRIAL, 1, {"median_mm": 90.0}, 0.01)
    second.epoch(TRIAL, 2, {"median_mm": 80.0}, 1.0)
    assert [entry.epoch for entry in store.history(TRIAL.trial_id)] == [1, 2]
    seconds = [getattr(event, "seconds", None) for event in events[1:]]
    assert math.isnan(seconds[0])
    assert seconds[1] == 1.0


def test_a_value_that_is_not_finite_reaches_neither_record_nor_tracker(store: Ledger) -> None:
    made, tracker = recorder(store)
    made.start(TRIAL)
    made.epoch(TRIAL, 1, {"median_mm": 90.0, "train/loss": math.inf}, 1.0)
    assert tracker.told[-1] == ("epoch", TRIAL.trial_id, 1, {"median_mm": 90.0})
    record = store.load(TRIAL.trial_id)
    assert record is not None
    assert "train/loss" not in record.metrics


def test_closing_leaves_trials_under_way_as_running_and_tells_the_tracker(
    store: Ledger,
) -> None:
    made, tracker = recorder(store)
    made.start(TRIAL)
    made.close()
    record = store.load(TRIAL.trial_id)
    assert record is not None
    assert record.outcome == "running"
    assert tracker.told[-1] == ("finish", TRIAL.trial_id, "running")


def test_why_a_trial_failed_is_kept_with_it(store: Ledger) -> None:
    made, _ = recorder(store)
    made.start(TRIAL)
    made.end(TRIAL, "failed", "ValueError: boom")
    record = store.load(TRIAL.trial_id)
    assert record is not None
    assert (record.outcome, record.tags["message"]) == ("failed", "ValueError: boom")


def test_an_epoch_keeps_the_time_it_took_of_the_devices_it_was_given(store: Ledger) -> None:
    made, _ = recorder(store)
    made.start(TRIAL)
    made.devices = 0.25
    made.epoch(TRIAL, 1, {"median_mm": 90.0}, 8.0)
    made.devices = 2.0
    made.epoch(TRIAL, 2, {"median_mm": 90.0}, 8.0)
    made.epoch(TRIAL, 3, {"median_mm": 90.0}, math.nan)
    found = [row.metrics for row in store.history(TRIAL.trial_id)]
    assert [device_s(metrics) for metrics in found] == [2.0, 16.0, 0.0]
    assert "time/device_s" not in found[2]


def test_a_trial_that_other_code_continues_names_both(
    store: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in ("a" * 16, "b" * 16, "b" * 16):
        monkeypatch.setattr("handssl.execution.recorder.code_digest", lambda code=code: code)
        made, _ = recorder(store)
        made.start(TRIAL)
        made.close()
    record = store.load(TRIAL.trial_id)
    assert record is not None
    assert record.tags["code_digest"] == f"{'a' * 16}, {'b' * 16}"


def test_a_trial_is_tagged_with_the_machine_of_the_process_that_trained_it(store: Ledger) -> None:
    elsewhere = {"machine.cpu": "a worker's", "machine.threads": "3", "machine.vector": "AVX2"}
    folder = store.folder(TRIAL.trial_id)
    folder.mkdir(parents=True)
    tracker = Tracker()
    one = Recorder(STUDY, store, tracker, lambda event: None, lambda trial: {"machine.cpu": "ours"})
    one.start(TRIAL)
    (folder / "machine.json").write_text(json.dumps(elsewhere))
    one.epoch(TRIAL, 1, {"median_mm": 90.0}, 1.0)
    record = store.load(TRIAL.trial_id)
    assert record is not None
    assert elsewhere.items() <= record.tags.items()
