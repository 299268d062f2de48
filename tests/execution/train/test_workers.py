"""A sweep whose trials train on several Ray Train workers each."""

from __future__ import annotations

import math

import pytest

from handssl.evaluation.predictions import FILE, decode
from handssl.execution import study_runner
from handssl.execution.datasets import resolver
from handssl.ledger import Ledger
from handssl.planning.execution_options import ExecutionOptions
from handssl.study.study import Study
from handssl.training import Execution

# Ray Train workers themselves are hit by every fault in test_pretrain.py and test_nodes.py.
pytestmark = pytest.mark.slow

STUDY = Study.parse(
    {
        "name": "together",
        "cells": [{"composition": "rotate"}, {"composition": "blur"}],
        "halving": None,
        "references": False,
        "pretrain": {
            "epochs": 2,
            "global_batch": 16,
            "encoder": {"width": 8, "input_px": 32},
            "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
            "optimizer": {"warmup_epochs": 1},
        },
    }
)


@pytest.fixture(scope="module")
def both(blob_data, tmp_path_factory):
    """The same study with one and with two workers a trial."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
        found = []
        for workers in (1, 2):
            storage = tmp_path_factory.mktemp("runs")
            options = ExecutionOptions(workers=workers, execution=Execution(precision="float64"))
            found.append(study_runner.run(STUDY, storage=storage, options=options))
    return found


def test_several_workers_a_trial_give_the_numbers_of_one(both):
    one, two = ({r.trial_id: r for r in result.records} for result in both)
    assert sorted(record.outcome for record in two.values()) == ["completed"] * 2
    ledgers = [Ledger(result.storage) for result in both]
    for name, record in one.items():
        assert two[name].outcome == record.outcome
        rows = [ledger.history(name) for ledger in ledgers]
        for alone, together in zip(*rows, strict=True):
            value = alone.metrics["train/loss"]
            assert math.isclose(value, together.metrics["train/loss"], rel_tol=1e-9)


def test_the_predictions_of_every_trial_are_in_the_drivers_storage(both):
    for record in both[0].records:
        one, two = (
            decode((result.storage / "trials" / record.trial_id / FILE).read_bytes()).splits
            for result in both
        )
        for split in ("select", "test"):
            assert (one[split].ids == two[split].ids).all()
            assert abs(one[split].columns - two[split].columns).max() < 0.01


def test_no_folder_of_the_workers_is_left(both):
    assert not list((both[1].storage / "trials").glob("*/.train-*"))
