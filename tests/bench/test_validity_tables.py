"""Tables of the study `validity`: measurements on its encoders are counted as they end."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from handssl.ledger.record import TrialRecord
from handssl.study.study import Study
from tune_spaces.validity import TOGETHER

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "validity.py"
STUDY = Study.parse({"name": "v", "cells": [{}], "pretrain": {"epochs": 20}})


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("validity_tables", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "validity_tables", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "prepared", lambda data, storage: Path("data"))
    monkeypatch.setattr(module, "gradient_cosine", lambda folder, data: 0.5)
    monkeypatch.setattr(module, "joined_metrics", lambda *_, **__: {module.ROOT: 60.0})
    return module


def record(cell, block, **metrics):
    known = {"test_median_mm": 60.0, "train/encoder_views": 8.0, "train/views_per_step": 4.0}
    return TrialRecord(
        trial_id=f"{len(cell):08x}{block:08x}",
        study="v",
        stage="cells",
        cell=cell,
        composition=TOGETHER,
        objective="mixed",
        block=block,
        outcome="completed",
        epoch=20,
        epochs=20,
        metrics=known | metrics,
    )


def test_every_measurement_on_encoders_is_counted_once_and_the_total_is_known_before(script):
    weights = {"train/sigma/contrastive": 1.0}
    halves = [f"{one} {TOGETHER} epochs=10" for one in ("contrastive", "relative")]
    records = [
        *(record(script.MIXED, block, **weights) for block in (1, 2)),
        *(record(f"{script.MIXED} fixed", block) for block in (1, 2)),
        *(record(cell, block) for cell in halves for block in (1, 2, 3)),
    ]
    counted = []
    table = script.Table(STUDY, Path("s"), records, lambda *one: counted.append(one))
    lines = script.mixed(table)
    # Two cosines, and the pair of halves in three blocks; no encoder of half the width.
    assert counted == [(n, 5) for n in range(1, 6)]
    assert any("0.5" in line for line in lines if line.startswith(f"| {script.MIXED} |"))
