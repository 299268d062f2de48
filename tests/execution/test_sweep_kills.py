"""Sweeps of sixteen real trials whose driver is killed at random moments: the same table."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from handssl.ledger import Ledger
from handssl.training.checkpoints import CheckpointFolder
from tests.execution.scripted_driver import sweeper

ROUNDS = int(os.environ.get("HANDSSL_KILL_ROUNDS", "20"))
COMPOSITIONS = ("blur", "cutout", "noise", "sobel", "color_drop", "rotate", "translate", "none")
OVER = ("completed", "stopped", "diverged")
STUDY = {
    "name": "killed",
    "cells": [{"composition": name} for name in COMPOSITIONS],
    "blocks": [1, 2],
    "halving": {"grace_epochs": 1, "reduction_factor": 2.0},
    "references": False,
    "pretrain": {
        "epochs": 4,
        "global_batch": 32,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 1},
    },
}
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def table(storage: Path) -> dict[str, tuple[object, ...]]:
    """Return all that a sweep says of each trial, without times."""
    ledger = Ledger(storage)
    return {
        record.trial_id: (
            record.outcome,
            record.epoch,
            [
                {name: value for name, value in row.metrics.items() if not name.endswith("_s")}
                for row in ledger.history(record.trial_id)
            ],
        )
        for record in ledger.all()
    }


@pytest.fixture(scope="module")
def undisturbed(blob_data, tmp_path_factory):
    storage = tmp_path_factory.mktemp("undisturbed")
    with sweeper(STUDY, storage, blob_data) as driver:
        assert sorted(driver.finish()["outcomes"]) == ["completed"] * 4 + ["stopped"] * 12
        epochs = sum(event["event"] == "EpochEnded" for event in driver.events)
    return table(storage), epochs


def killed_and_resumed(storage, data, kill_after, **options):
    """Kill a driver after so many epochs, check what is on disk, and let another one finish."""
    with sweeper(STUDY, storage, data) as driver:
        for _ in range(kill_after):
            driver.until(lambda event: event["event"] == "EpochEnded")
        driver.kill()
    left = {record.trial_id: record for record in Ledger(storage).all()}
    for record in left.values():
        checkpoints = CheckpointFolder(storage / "trials" / record.trial_id / "checkpoints")
        state = checkpoints.latest()
        # An epoch that the ledger knows is on disk: only one that was under way is lost.
        assert record.epoch <= (state.epoch if state else 0)
    with sweeper(STUDY, storage, data, **options) as driver:
        driver.finish()
        started = [event["trial"] for event in driver.events if event["event"] == "Started"]
    assert not [name for name in started if name in left and left[name].outcome in OVER]
    return table(storage)


def test_a_sweep_whose_driver_is_killed_ends_with_the_same_table(undisturbed, blob_data, tmp_path):
    expected, epochs = undisturbed
    moment = random.Random("one kill").randint(1, epochs - 2)
    assert killed_and_resumed(tmp_path, blob_data, moment) == expected


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_many_kills_at_random_moments_with_one_and_two_trials_at_once(
    undisturbed, blob_data, tmp_path
):
    (expected, epochs), moments = undisturbed, random.Random("many kills")
    for number in range(ROUNDS):
        running = {"max_concurrent_trials": 1 + number % 2}
        storage = tmp_path / str(number)
        found = killed_and_resumed(
            storage, blob_data, moments.randint(1, epochs - 2), options=running
        )
        assert found == expected, f"round {number}"
