from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from handssl.errors import DivergedError
from handssl.sweep import trainable
from handssl.sweep.plan import PlannedTrial, plan_study
from handssl.sweep.running import Running
from handssl.sweep.study import Study
from handssl.sweep.trainable import PretrainTrainable, trial_results
from handssl.sweep.versions import versions

EPOCHS = 3


def plan(**changes: Any) -> tuple[PlannedTrial, ...]:
    pretrain = {
        "epochs": EPOCHS,
        "global_batch": 16,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 1},
    }
    cells = [{"composition": "rotate"}, {"composition": "blur"}]
    return plan_study(Study.parse({"name": "x", "pretrain": pretrain, "cells": cells}), "data")


TRIALS = {trial.cell: trial for trial in plan()}


def segment(cell: str, after: int = -1, until: int = EPOCHS) -> dict[str, Any]:
    return {"trial_id": TRIALS[cell].trial_id, "after": after, "until": until}


@pytest.fixture
def actor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PretrainTrainable]:
    """A trainable without its actor: only what `setup` does, not Ray's own constructor."""
    threads = torch.get_num_threads()
    made = PretrainTrainable.__new__(PretrainTrainable)
    made.setup(
        segment("contrastive rotate"),
        trials={trial.trial_id: trial for trial in TRIALS.values()},
        data={trial.trial_id: tmp_path / "data" for trial in TRIALS.values()},
        storage=tmp_path,
        threads=1,
        running=Running(),
        origins={},
        versions=versions(),
    )
    yield made
    torch.set_num_threads(threads)


def scripted(*steps: dict[str, float] | Exception) -> Any:
    def results(trial: PlannedTrial, *_: Any, **__: Any) -> Iterator[Any]:
        for epoch, step in enumerate(steps, start=1):
            if isinstance(step, Exception):
                raise step
            yield epoch, step

    return results


def restart(actor: PretrainTrainable, monkeypatch: pytest.MonkeyPatch, script: Any) -> None:
    monkeypatch.setattr(trainable, "trial_results", script)
    assert actor.reset_config(segment("contrastive blur"))


def test_each_step_is_one_epoch_and_the_last_says_completed(
    actor: PretrainTrainable, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart(actor, monkeypatch, scripted(*({"median_mm": 90.0 - e} for e in range(EPOCHS))))
    results = [actor.step() for _ in range(EPOCHS)]
    assert [result["epoch"] for result in results] == [1, 2, 3]
    assert [result.get("outcome") for result in results] == [None, None, "completed"]
    assert results[-1]["done"]
    assert results[1]["median_mm"] == 89.0


def test_a_diverged_trial_says_so_and_the_actor_goes_on_with_the_next(
    actor: PretrainTrainable, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart(actor, monkeypatch, scripted({"median_mm": 90.0}, DivergedError("the loss became nan")))
    actor.step()
    end = actor.step()
    assert (end["outcome"], end["done"], end["epoch"]) == ("diverged", True, 1)
    assert end["message"] == "the loss became nan"
    restart(actor, monkeypatch, scripted({"median_mm": 80.0}))
    assert actor.step()["median_mm"] == 80.0


def test_a_metric_that_is_not_finite_means_diverged_and_is_named(
    actor: PretrainTrainable, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart(actor, monkeypatch, scripted({"median_mm": 90.0, "train/loss": math.inf}))
    end = actor.step()
    assert end["outcome"] == "diverged"
    assert "train/loss" in end["message"]
    assert end["metrics"] == {}


def test_an_error_of_ours_fails_the_trial_keeps_its_traceback_and_spares_the_actor(
    actor: PretrainTrainable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    restart(actor, monkeypatch, scripted(ValueError("boom")))
    end = actor.step()
    assert (end["outcome"], end["message"]) == ("failed", "ValueError: boom")
    trial = TRIALS["contrastive blur"].trial_id
    assert "Traceback" in (tmp_path / "trials" / trial / "error.txt").read_text()


def test_a_trial_cut_off_between_epochs_reports_all_of_them_when_it_goes_on(
    blob_data: Path, tmp_path: Path
) -> None:
    trial, whole, cut = TRIALS["contrastive rotate"], tmp_path / "whole", tmp_path / "cut"
    expected = list(trial_results(trial, blob_data, whole))
    first = trial_results(trial, blob_data, cut)
    next(first)
    first.close()
    results = list(trial_results(trial, blob_data, cut))
    assert [epoch for epoch, _ in results] == [1, 2, 3]
    medians = [metrics["median_mm"] for _, metrics in results]
    assert medians == [metrics["median_mm"] for _, metrics in expected]
    assert "test_median_mm" in results[-1][1]


@pytest.mark.parametrize("cell", ["mean pose", "random encoder"])
def test_a_reference_is_one_result_with_the_measures_of_a_trial(
    cell: str, blob_data: Path, tmp_path: Path
) -> None:
    results = list(trial_results(TRIALS[cell], blob_data, tmp_path))
    assert [epoch for epoch, _ in results] == [0]
    assert {"median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm"} <= results[0][1].keys()
