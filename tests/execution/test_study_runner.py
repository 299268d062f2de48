from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from mlflow import MlflowClient

from handssl.execution import study_runner
from handssl.execution.datasets import resolver
from handssl.execution.result import StudyResult
from handssl.ledger.references import UNTRAINED
from handssl.study.events import EpochEnded, Event, Planned, Started, Tick
from handssl.study.study import Study

STUDY = Study.parse(
    {
        "name": "small",
        "cells": [{"composition": "rotate"}, {"composition": "blur"}],
        "halving": None,
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
def callers_ray() -> Iterator[None]:
    before = psutil.Process().children(recursive=True)
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        object_store_memory=80 * 2**20,
    )
    yield
    started = [p for p in psutil.Process().children(recursive=True) if p not in before]
    ray.shutdown()
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []


@pytest.fixture(scope="module")
def runs(
    callers_ray: None, blob_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[StudyResult, list[Event]]]]:
    """The same study run twice on one storage, the second time with a cell more."""
    storage = tmp_path_factory.mktemp("runs")
    larger = STUDY.merged({"cells": [*STUDY.model_dump(mode="json")["cells"], {}]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
        results = []
        for study in (STUDY, larger):
            events: list[Event] = []
            results.append(
                (study_runner.run(study, storage=storage, on_event=events.append), events)
            )
        yield results


def of_kind(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_the_table_holds_every_cell_and_reference_with_the_primary_measures(
    runs: list[tuple[StudyResult, list[Event]]],
) -> None:
    table = runs[0][0].table()
    expected = {"contrastive rotate", "contrastive blur", "supervised"}
    assert set(table["cell"]) == expected | {one.label for one in UNTRAINED}
    assert (table["outcome"] == "completed").all()
    measures = ["median_mm", "aligned_median_mm", "mpje_mm"]
    assert table[[*measures, *(f"test_{name}" for name in measures)]].notna().all(axis=None)
    assert table["median_mm"].is_monotonic_increasing


def test_every_epoch_is_reported_once(runs: list[tuple[StudyResult, list[Event]]]) -> None:
    epochs = [(e.trial.trial_id, e.epoch) for e in of_kind(runs[0][1], EpochEnded)]
    assert len(epochs) == len(set(epochs)) == 3 * 2 + len(UNTRAINED)
    assert of_kind(runs[0][1], Tick)


def test_the_callers_ray_is_used_and_left_running(
    runs: list[tuple[StudyResult, list[Event]]],
) -> None:
    assert ray.is_initialized()
    assert of_kind(runs[0][1], Planned)[0].slots == 2


def test_a_larger_study_runs_only_what_is_new(
    runs: list[tuple[StudyResult, list[Event]]],
) -> None:
    result, events = runs[1]
    assert [event.trial.cell for event in of_kind(events, Started)] == ["contrastive none"]
    assert len(result.records) == result.planned == 3 + 1 + len(UNTRAINED)
    assert not result.interrupted


def test_mlflow_says_what_data_a_trial_read_and_how_much_of_it_was_damaged(
    runs: list[tuple[StudyResult, list[Event]]],
) -> None:
    result = runs[0][0]
    client = MlflowClient(result.tracking_uri)
    run = client.get_run(result.records[0].mlflow_run_id or "")
    assert run.data.tags["data_labelled"].startswith("blobs ")
    assert run.data.tags["data_labelled_damaged"] == "0"
    assert len(run.data.tags["data_fingerprint"]) == 32
