"""How a study stands: the time its trials took of the devices they were given."""

from __future__ import annotations

import contextlib
import dataclasses
from unittest import mock

import pytest

from handssl.cli.views.status import describe_cost, document, rendered
from handssl.execution import study_runner
from handssl.execution.cluster.watch import Watch
from handssl.execution.datasets import resolver
from handssl.execution.status import StageStatus, StudyStatus, TrialStatus, status
from handssl.ledger import Ledger
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.resources import Cluster, divided
from handssl.study.study import Study
from handssl.study.trials import plan_stage

EPOCH_S = 1800.0
STUDY = Study.parse(
    {
        "name": "shares",
        "cells": [{"composition": "rotate"}, {"composition": "blur"}],
        "pretrain": {"epochs": 4, "optimizer": {"warmup_epochs": 1}},
        "references": False,
        "halving": None,
    }
)


@pytest.fixture
def run(tmp_path, blob_data, monkeypatch):
    """Run the study on a cluster whose trials take half an hour an epoch, all but the last."""
    monkeypatch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
    monkeypatch.setattr("handssl.execution.status.prepared", lambda *_, **__: blob_data)
    monkeypatch.setattr(study_runner, "require_same_everywhere", lambda: None)

    def train(sweeping, cluster):
        for trial in sweeping.scheduler.missing:
            sweeping.recorder.start(trial)
            for epoch in range(1, trial.epochs):
                sweeping.recorder.epoch(trial, epoch, {"median_mm": 50.0}, EPOCH_S)

    monkeypatch.setattr(study_runner, "tune_trials", train)

    watch = mock.create_autospec(Watch, instance=True)

    def on(cluster: Cluster):
        given = contextlib.nullcontext(cluster)
        monkeypatch.setattr(study_runner, "ray_cluster", lambda *_, **__: given)
        # Looking for a cluster, Ray would start one that outlives the test.
        monkeypatch.setattr(study_runner, "watching", lambda **_: contextlib.nullcontext(watch))
        study_runner.run(STUDY, storage=tmp_path)
        return status(STUDY, tmp_path)

    return on


@pytest.mark.parametrize(
    ("running", "devices", "told"),
    [
        (ExecutionOptions(trials_per_gpu=4), 0.25, ("45 min", "15 min", "60 min")),
        (
            ExecutionOptions(trials_per_gpu=4, max_concurrent_trials=1),
            0.25,
            ("45 min", "15 min", "60 min"),
        ),
        (ExecutionOptions(workers=2), 2.0, ("6.0 h", "2.0 h", "8.0 h")),
    ],
)
def test_device_time_counts_the_share_of_a_gpu_and_every_worker(run, running, devices, told):
    found = run(divided(16, 2, running, owned=False))
    assert found.used_s == 2 * 3 * EPOCH_S * devices
    assert found.left_s == 2 * EPOCH_S * devices
    assert found.epoch_s == EPOCH_S
    assert document(found)["used_s"] == found.used_s
    used, left, cost = told
    said = str(rendered(found, "").renderables[-1])
    assert said == f"device time: {used} used, at most {left} left in known stages"
    assert f"about {cost} on one device" in describe_cost(found, STUDY.merged({"blocks": [1, 2]}))


def test_without_a_gpu_a_trial_takes_a_core(run):
    assert run(divided(4, 0, ExecutionOptions(), owned=False)).used_s == 2 * 3 * EPOCH_S


def test_epochs_of_early_versions_count_as_of_one_device(run, tmp_path):
    run(divided(16, 2, ExecutionOptions(trials_per_gpu=4), owned=False))
    ledger = Ledger(tmp_path)
    record = ledger.all()[0].model_copy(update={"epoch": 4})
    ledger.report(record, {"median_mm": 50.0, "time/epoch_s": 7.0})
    assert status(STUDY, tmp_path).used_s == 2 * 3 * EPOCH_S / 4 + 7.0


def test_what_is_best_is_a_whole_trial_as_soon_as_there_is_one():
    whole, other = plan_stage(STUDY, STUDY.all_stages[0], {}, lambda _: "data")
    one = TrialStatus(whole, "running", 3, 52.0, reused=False, used_s=0.0)
    stopped = TrialStatus(other, "stopped", 1, 51.0, reused=False, used_s=0.0)

    def best(*trials):
        stage = StageStatus("cells", trials)
        return StudyStatus(STUDY, (stage,), "", False, None, None).best

    assert best() is None
    assert best(one, stopped) == stopped
    ended = dataclasses.replace(one, state="completed", epoch=4)
    assert best(ended, stopped) == ended  # the other was measured after another epoch
