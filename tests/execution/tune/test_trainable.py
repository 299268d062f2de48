from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from handssl.errors import DivergedError, TakenOverError
from handssl.evaluation.predictions import decode
from handssl.execution.cluster.version_check import versions
from handssl.execution.tune import trainable
from handssl.execution.tune.trainable import PretrainTrainable, trial_results
from handssl.planning.execution_options import ExecutionOptions
from handssl.runtime.fencing import Fence
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial, plan_study

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
        options=ExecutionOptions(),
        warm_starts={},
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


@pytest.mark.parametrize("cell", ["mean pose", "HOG ridge", "random encoder"])
def test_a_reference_is_one_result_with_the_measures_of_a_trial(
    cell: str, blob_data: Path, tmp_path: Path
) -> None:
    results = list(trial_results(TRIALS[cell], blob_data, tmp_path))
    assert [epoch for epoch, _ in results] == [0]
    assert {"median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm"} <= results[0][1].keys()
    kept = decode((tmp_path / "predictions.npz").read_bytes()).splits
    assert {name: len(one) for name, one in kept.items()} == {"select": 24, "test": 24}


def claimed_segment(storage: Path, cell: str = "contrastive blur") -> dict[str, Any]:
    """Return a segment whose trial was claimed with the token `first`."""
    told = segment(cell) | {"token": "first"}
    assert Fence(storage / "trials" / told["trial_id"], "first").take()
    return told


def claim_again(storage: Path, told: dict[str, Any]) -> Path:
    """Have another driver claim the trial; return its folder."""
    folder = storage / "trials" / told["trial_id"]
    assert Fence(folder, "second").take()
    return folder


@pytest.mark.parametrize("then", [{"median_mm": 80.0}, ValueError("a file was gone")])
def test_a_segment_whose_folder_another_has_claimed_ends_and_leaves_no_trace(
    actor: PretrainTrainable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, then: Any
) -> None:
    told = claimed_segment(tmp_path)

    def results(*_: Any, **__: Any) -> Iterator[Any]:
        yield 1, {"median_mm": 90.0}
        folder = claim_again(tmp_path, told)
        (folder / "silence.txt").unlink()  # as another process would
        if isinstance(then, Exception):
            raise then
        yield 2, then

    monkeypatch.setattr(trainable, "trial_results", results)
    actor.reset_config(told)
    assert actor.step()["metrics"] == {"median_mm": 90.0}
    end = actor.step()
    assert (end["done"], end["outcome"], end["metrics"]) == (True, "taken over", {})
    assert [path.name for path in (tmp_path / "trials" / told["trial_id"]).iterdir()] == ["claim"]


def test_training_stops_between_two_steps_once_its_folder_is_lost(
    tmp_path: Path, blob_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainable, "LOOK_S", 0.0)
    trial, folder = TRIALS["contrastive blur"], tmp_path / "trial"
    fence, steps = Fence(folder, "first"), []
    assert fence.take()
    step = trainable.loss_of(fence)

    def counted(of: Fence | None) -> Any:
        def is_lost() -> bool:
            steps.append(1)
            if len(steps) == 2:
                assert Fence(folder, "second").take()
            return step()

        return is_lost

    monkeypatch.setattr(trainable, "loss_of", counted)
    with pytest.raises(TakenOverError):
        list(trial_results(trial, blob_data, folder, fence=fence))
    assert len(steps) == 2
    assert [path.name for path in folder.rglob("*")] == ["claim"]
