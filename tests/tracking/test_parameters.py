"""Parameters in MLflow are what determined a run: in a real SQLite store, for every kind of run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from handssl.execution.recorder import Recorder
from handssl.ledger import Ledger
from handssl.study.study import Study
from handssl.study.trials import plan_study

tracker_module = pytest.importorskip("handssl.tracking.tracker")

STUDY = Study.parse(
    {
        "name": "parameters",
        "pretrain": {"epochs": 7, "encoder": {"width": 8}, "optimizer": {"warmup_epochs": 1}},
        "cells": [
            {"composition": "blur"},
            {"composition": "rotate", "objective": "relative"},
            {"composition": "rotate+blur", "objective": "mixed", "relative_on": "rotate"},
            {"composition": "rotate", "objective": "equivariant"},
        ],
    }
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The run of every trial and reference of a study, as the recorder has MLflow show it."""
    folder = tmp_path_factory.mktemp("runs")
    store = Ledger(folder)
    tracker = tracker_module.MlflowTracker(f"sqlite:///{folder}/mlflow.db", STUDY.name, store)
    recorder = Recorder(STUDY, store, tracker, lambda event: None)
    trials = plan_study(STUDY, "data")
    for trial in trials:
        recorder.start(trial)
        recorder.epoch(trial, trial.epochs, {"median_mm": 50.0}, 1.0)
        recorder.end(trial, "completed")
    tracker.close()
    client = tracker._runs.client
    names = {trial.cell: store.load(trial.trial_id).mlflow_run_id for trial in trials}
    return {cell: client.get_run(name) for cell, name in names.items()}, client


def heads(parameters):
    """Return the first part of every name, and the names of the heads' sizes."""
    groups = {name.partition(".")[0] for name in parameters}
    return groups, {name for name in parameters if name.startswith("heads.")}


def test_the_mean_pose_has_no_parameters(runs):
    found, _ = runs
    assert found["mean pose"].data.params == {}


def test_a_random_encoder_has_its_network_and_seed(runs):
    found, client = runs
    run = found["random encoder"]
    assert heads(run.data.params)[0] == {"encoder", "init", "seed"}
    assert run.data.params["encoder.width"] == "8"
    folder = client.download_artifacts(run.info.run_id, "config.yaml")
    assert set(yaml.safe_load(Path(folder).read_text())) == {"encoder", "init", "seed"}


@pytest.mark.parametrize(
    ("cell", "has", "has_not", "sizes"),
    [
        (
            "contrastive blur",
            {"temperature"},
            {"relative", "relative_on", "mixed", "contrastive_weight", "equal_views"},
            {"heads.projection_hidden", "heads.projection_out"},
        ),
        (
            "relative rotate",
            {"relative"},
            {"temperature", "relative_on", "mixed", "contrastive_weight", "equal_views"},
            {"heads.relative_hidden"},
        ),
        (
            "equivariant rotate",
            {"temperature"},
            {"relative", "relative_on", "mixed"},
            {"heads.projection_hidden", "heads.projection_out"},
        ),
        (
            "mixed blur+rotate (rotate)",
            {"temperature", "relative", "relative_on", "mixed", "equal_views"},
            set(),
            {"heads.projection_hidden", "heads.projection_out", "heads.relative_hidden"},
        ),
        (
            "supervised",
            {"encoder", "optimizer", "epochs"},
            {"temperature", "relative", "relative_on", "mixed", "equal_views"},
            set(),
        ),
    ],
)
def test_a_trial_has_the_options_that_its_objective_reads(runs, cell, has, has_not, sizes):
    parameters = runs[0][cell].data.params
    groups, named = heads(parameters)
    assert has <= groups
    assert not has_not & groups
    assert named == sizes
    assert parameters["epochs"] == "7"


def test_transformations_that_are_off_have_no_parameters(runs):
    names = runs[0]["contrastive blur"].data.params
    assert any(name.startswith("augmentation.blur.") for name in names)
    assert "augmentation.border" in names
    assert not any(name.startswith("augmentation.rotate.") for name in names)
