"""A study that is asked something while it runs, and two drivers that want the same trials."""

from __future__ import annotations

import json
import threading

import pytest

from handssl.errors import BusyStudyError, InputError, PausedStudyError
from handssl.execution import control, study_runner
from handssl.execution.datasets import resolver
from handssl.ledger import Ledger
from handssl.study.events import EpochEnded
from handssl.study.study import Study
from tests.execution.scripted import made, scripted_ray
from tests.execution.scripted_driver import sweeper

pytestmark = pytest.mark.faults

EPOCHS = 6
CELLS = ("blur", "cutout", "noise", "sobel")
SLOW = {f"contrastive {name}": dict.fromkeys(range(1, EPOCHS + 1), "sleep 0.3") for name in CELLS}


def study(name="asked", **changes):
    values = {
        "name": name,
        "cells": [{"composition": name} for name in CELLS],
        "pretrain": {"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
        "halving": None,
        "references": False,
    }
    return Study.parse(values | changes)


@pytest.fixture(scope="module", autouse=True)
def slow_trials(tmp_path_factory, blob_data):
    script = tmp_path_factory.mktemp("script") / "script.json"
    with pytest.MonkeyPatch.context() as patch, scripted_ray(script, SLOW):
        patch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
        patch.setattr("handssl.execution.status.prepared", lambda *_, **__: blob_data)
        patch.setattr("handssl.execution.coordination.LOOK_S", 0.1)
        yield


def at_first(kind, do):
    """Return a listener that does something at the first event of a kind."""
    done = threading.Event()

    def listen(event):
        if isinstance(event, kind) and not done.is_set():
            done.set()
            do()

    return listen


def states(storage, planned=None):
    found = control.status(planned or study(), storage)
    return {one.trial.composition: one.state for one in found.trials.values()}


def test_a_paused_study_stops_refuses_to_run_and_goes_on_where_it_was(tmp_path):
    pause = at_first(EpochEnded, lambda: control.pause(study(), tmp_path))
    result = study_runner.run(study(), storage=tmp_path, on_event=pause)
    assert (result.interrupted, result.stopped_by) == (True, "pause")
    assert control.status(study(), tmp_path).paused
    with pytest.raises(PausedStudyError, match="study resume"):
        study_runner.run(study(), storage=tmp_path)
    control.resume(study(), tmp_path)
    result = study_runner.run(study(), storage=tmp_path)
    assert [record.outcome for record in result.records] == ["completed"] * 4
    assert all(epochs == [1, 2, 3, 4, 5, 6] for epochs in made(tmp_path).values())


def test_a_cell_that_is_cancelled_stops_and_the_others_are_compared_without_it(tmp_path):
    halved = study(halving={"grace_epochs": 2, "reduction_factor": 2.0})
    cancel = at_first(
        EpochEnded, lambda: control.cancel(halved, "contrastive blur", storage=tmp_path)
    )
    result = study_runner.run(halved, storage=tmp_path, on_event=cancel)
    outcomes = {record.composition: record.outcome for record in result.records}
    assert outcomes.pop("blur") == "cancelled"
    assert sorted(outcomes.values()) == ["completed", "stopped", "stopped"]
    assert states(tmp_path, halved)["blur"] == "cancelled"


@pytest.mark.slow
def test_a_cell_that_is_cancelled_before_the_study_runs_again_is_never_begun(tmp_path):
    pause = at_first(EpochEnded, lambda: control.pause(study(), tmp_path))
    study_runner.run(study(), storage=tmp_path, on_event=pause)
    control.cancel(study(), "contrastive sobel", storage=tmp_path)
    control.resume(study(), tmp_path)
    result = study_runner.run(study(), storage=tmp_path)
    outcomes = {record.composition: record.outcome for record in result.records}
    assert outcomes.pop("sobel") == "cancelled"
    assert set(outcomes.values()) == {"completed"}


def test_seeds_that_are_added_are_run_and_what_was_there_is_not_run_again(tmp_path):
    small = study(cells=[{"composition": "blur"}, {"composition": "noise"}])
    study_runner.run(small, storage=tmp_path)
    before = made(tmp_path)
    larger = control.extend(small, blocks=(7,), storage=tmp_path)
    assert larger.blocks == (1, 7)
    result = study_runner.run(small, storage=tmp_path)
    assert sorted(record.block for record in result.records) == [1, 1, 7, 7]
    assert {name: made(tmp_path)[name] for name in before} == before


def test_what_cannot_be_asked_is_refused_with_a_word_on_what_can(tmp_path):
    small = study(cells=[{"composition": "blur"}])
    with pytest.raises(InputError, match="run one first"):
        control.pause(small, tmp_path)
    study_runner.run(small, storage=tmp_path)
    with pytest.raises(InputError, match="did you mean 'contrastive blur'"):
        control.cancel(small, "contrastiv blur", storage=tmp_path)
    with pytest.raises(InputError, match="all of them are"):
        control.cancel(small, "contrastive blur", storage=tmp_path)
    with pytest.raises(InputError, match="not run with seed 9"):
        control.cancel(small, "contrastive blur", block=9, storage=tmp_path)
    with pytest.raises(InputError, match="more epochs"):
        control.extend(small, storage=tmp_path)
    with pytest.raises(InputError, match="more than 6"):
        control.extend(small, epochs=3, storage=tmp_path)


def test_more_epochs_under_cosine_are_new_trials_and_this_is_said(tmp_path):
    small = study(cells=[{"composition": "blur"}])
    larger, meaning = control.extension_of(small, epochs=8)
    assert larger.pretrain.epochs == 8
    assert "a different experiment" in meaning


def test_two_drivers_that_want_the_same_trials_run_each_once_and_both_have_all(tmp_path, blob_data):
    script = tmp_path / "script.json"
    script.write_text(json.dumps(SLOW))
    one, two = (study(name).model_dump(mode="json") for name in ("first", "second"))
    with (
        sweeper(one, tmp_path, blob_data, script=str(script), cpus=1) as first,
        sweeper(two, tmp_path, blob_data, script=str(script), cpus=1) as second,
    ):
        for driver in (first, second):
            assert driver.finish()["outcomes"] == ["completed"] * 4
    assert all(epochs == [1, 2, 3, 4, 5, 6] for epochs in made(tmp_path).values())
    both = [control.status(study(name), tmp_path) for name in ("first", "second")]
    found = [one for status in both for one in status.trials.values()]
    assert {one.state for one in found} == {"completed"}
    assert sum(one.reused for one in found) == 4


def test_a_study_is_run_by_one_driver_at_a_time(tmp_path):
    refused = []

    def again():
        with pytest.raises(BusyStudyError, match="expected no other driver to run it") as caught:
            study_runner.run(study(), storage=tmp_path)
        assert caught.value.exit_code == 69  # for the queue a loss: it is tried again
        refused.append(str(caught.value))
        control.pause(study(), tmp_path)

    study_runner.run(study(), storage=tmp_path, on_event=at_first(EpochEnded, again))
    assert len(refused) == 1
    assert "study status" in refused[0]


def test_the_status_says_who_runs_it_what_is_best_and_how_long_it_takes(tmp_path):
    seen = []
    look = at_first(EpochEnded, lambda: seen.append(control.status(study(), tmp_path)))
    study_runner.run(study(), storage=tmp_path, on_event=look)
    (during,) = seen
    assert during.driver
    assert "running" in {one.state for one in during.trials.values()}
    assert during.epoch_s >= 0.2
    assert during.left_s > 0
    after = control.status(study(), tmp_path)
    assert (after.driver, after.left_s) == ("", 0)
    assert set(states(tmp_path).values()) == {"completed"}
    best = min(Ledger(tmp_path).all(), key=lambda record: record.metrics["median_mm"])
    assert after.best.trial.trial_id == best.trial_id
