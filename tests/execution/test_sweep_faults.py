"""A sweep in which everything happens that may: it ends, and its table names what went wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from handssl.execution import study_runner
from handssl.execution.datasets import resolver
from handssl.ledger import Ledger
from handssl.planning.execution_options import ExecutionOptions
from handssl.study.events import WorkerEvent
from handssl.study.study import Study
from handssl.study.trials import stage_scheduler
from tests.execution.scripted import made, scripted_ray

pytestmark = pytest.mark.faults

EPOCHS = 4
CELLS = ("blur", "cutout", "noise", "sobel", "color_drop", "rotate", "translate", "scale")
SCRIPT = {
    "contrastive blur": {2: "nan"},
    "contrastive cutout": {2: "none"},
    "contrastive noise": {2: "raise"},
    "contrastive sobel": {2: "hang"},
    "contrastive color_drop": {3: "once hang"},
    "contrastive rotate": {3: "once die"},
    "contrastive translate": {2: "die"},
}


def study(**changes):
    values = {
        "name": "faulty",
        "cells": [{"composition": name} for name in CELLS],
        "pretrain": {"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
        "halving": None,
        "references": False,
    }
    return Study.parse(values | changes)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory, blob_data):
    """The sweep, with nobody at the address of MLflow, and what it told."""
    storage, told = tmp_path_factory.mktemp("faulty"), []
    with socket.socket() as taken, pytest.MonkeyPatch.context() as patch:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        patch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setattr("handssl.tracking.tracker.CLOSE_S", 1.0)
        with scripted_ray(storage / "script.json", SCRIPT):
            result = study_runner.run(
                study(),
                storage=storage,
                tracking_uri=f"http://127.0.0.1:{taken.getsockname()[1]}",
                options=ExecutionOptions(hang_timeout_s=5.0, retries=1),
                on_event=told.append,
            )
    return result, told


def outcomes(result):
    return {record.cell.split()[-1]: (record.outcome, record.epoch) for record in result.records}


def test_the_table_names_how_every_trial_ended(faulty):
    assert outcomes(faulty[0]) == {
        "blur": ("diverged", 1),
        "cutout": ("failed", 1),
        "noise": ("failed", 1),
        "sobel": ("failed", 1),
        "color_drop": ("completed", 4),
        "rotate": ("completed", 4),
        "translate": ("failed", 1),
        "scale": ("completed", 4),
    }


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("blur", "not finite: median_mm"),
        ("cutout", "must be real number, not NoneType"),
        ("noise", "ValueError: not today"),
        ("sobel", "no epoch ended within 5 s"),
        ("translate", "its process was lost (it crashed or was killed)"),
    ],
)
def test_every_trial_that_went_wrong_says_why(faulty, cell, reason):
    (record,) = [r for r in faulty[0].records if r.composition == cell]
    assert reason in record.tags["message"]


def test_what_a_trial_does_wrong_itself_is_not_tried_again_and_a_lost_process_is(faulty):
    notices = [event for event in faulty[1] if isinstance(event, WorkerEvent)]
    assert sorted(notice.trial.composition for notice in notices) == [
        "color_drop",
        "rotate",
        "sobel",
        "translate",
    ]


def test_no_epoch_is_made_twice(faulty):
    assert all(epochs == sorted(set(epochs)) for epochs in made(faulty[0].storage).values())


def test_where_a_trial_hung_is_written_down_and_no_trace_is_left_of_those_that_went_on(faulty):
    found = faulty[0].storage.glob("trials/*/silence.txt")
    traces = {path.parent.name for path in found if path.stat().st_size}
    (sobel,) = [r.trial_id for r in faulty[0].records if r.composition == "sobel"]
    assert traces == {sobel}
    text = (faulty[0].storage / "trials" / sobel / "silence.txt").read_text()
    assert "scripted.py" in text


def test_the_next_run_tries_what_failed_again_and_nothing_else(faulty, blob_data, monkeypatch):
    storage = faulty[0].storage
    before = {r.trial_id: r.outcome for r in Ledger(storage).all()}
    monkeypatch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
    with scripted_ray(storage / "script.json", {}):
        result = study_runner.run(study(), storage=storage)
    assert outcomes(result) == {
        name: ("diverged", 1) if name == "blur" else ("completed", 4) for name in CELLS
    }
    finished = [name for name, outcome in before.items() if outcome != "failed"]
    assert {name: len(made(storage)[name]) for name in finished} == {
        name: 2 if before[name] == "diverged" else EPOCHS for name in finished
    }


@pytest.mark.slow
def test_a_stage_in_waves_ends_with_the_same_table(tmp_path, blob_data, monkeypatch):
    from handssl.execution.tune import executor

    waves, one_wave = [], executor._one_wave
    monkeypatch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
    monkeypatch.setattr(executor, "_one_wave", lambda *all: (waves.append(1), one_wave(*all)))
    halved, tables = study(halving={"grace_epochs": 1, "reduction_factor": 2.0}), []
    with scripted_ray(tmp_path / "script.json", {}):
        for number, wave in enumerate((500, 3)):
            options = ExecutionOptions(wave=wave)
            result = study_runner.run(halved, storage=tmp_path / str(number), options=options)
            tables.append(outcomes(result))
            assert all(len(e) == len(set(e)) for e in made(tmp_path / str(number)).values())
    assert tables[0] == tables[1]
    assert len(waves) > 3


def test_a_run_with_checkpoints_beyond_the_budget_keeps_those_that_are_needed(tmp_path: Path):
    from handssl.execution.checkpoint_mirror.disk_budget import Budget
    from handssl.ledger.record import TrialRecord
    from handssl.study.trials import plan_study

    planned = study(halving={"grace_epochs": 1})
    ledger, trials = Ledger(tmp_path), plan_study(planned, "data")
    done, runs = trials[0], trials[1]
    for trial in trials[:2]:
        for epoch in (1, 2):
            file = tmp_path / "trials" / trial.trial_id / "checkpoints" / f"epoch-{epoch:05d}.ckpt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes(1000))
    record = TrialRecord(
        trial_id=done.trial_id,
        study="other",
        stage="s",
        cell=done.cell,
        composition=done.composition,
        objective=done.objective,
        block=1,
        outcome="completed",
        epoch=0,
        epochs=EPOCHS,
    )
    for epoch in range(1, EPOCHS + 1):
        record = record.model_copy(update={"epoch": epoch})
        ledger.report(record, {"median_mm": 50.0})
    scheduler = stage_scheduler(planned.merged({"halving": None}), "objectives", trials, ledger)

    def left(trial):
        return sorted(p.name for p in tmp_path.glob(f"trials/{trial.trial_id}/checkpoints/*"))

    Budget(tmp_path, 3000, scheduler, ledger).keep()
    assert (left(done), len(left(runs))) == (["epoch-00002.ckpt"], 2)
    ledger.save(record.model_copy(update={"outcome": "running"}))  # another study goes on with it
    Budget(tmp_path, 1, scheduler, ledger).keep()
    assert (left(done), left(runs)) == (["epoch-00002.ckpt"],) * 2
    ledger.save(record.model_copy(update={"outcome": "completed"}))
    other = Ledger(tmp_path)
    other.claims.take([done.trial_id])
    Budget(tmp_path, 1, scheduler, ledger).keep()
    assert left(done) == ["epoch-00002.ckpt"]
    other.claims.release()
    Budget(tmp_path, 1, scheduler, ledger).keep()
    assert (left(done), left(runs)) == ([], ["epoch-00002.ckpt"])
