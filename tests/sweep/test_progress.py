from __future__ import annotations

import math

import pytest

from handssl.sweep.events import Ended, EpochEnded, Planned, Preparing, Started
from handssl.sweep.plan import PlannedTrial, plan_study
from handssl.sweep.progress import Progress, clock, expected_epochs
from handssl.sweep.study import Cell, Halving, Study
from handssl.training.config import PretrainConfig

STUDY = Study(
    name="x",
    cells=(Cell(composition=("rotate",), exempt=True), Cell(composition=("blur",))),
    pretrain=PretrainConfig(epochs=20),
    halving=Halving(grace_epochs=5, reduction_factor=3.0),
)
TRIALS = plan_study(STUDY, "data")


def find(cell: str) -> PlannedTrial:
    return next(trial for trial in TRIALS if trial.cell == cell)


def planned(missing: tuple[PlannedTrial, ...] = TRIALS, slots: int = 2) -> Planned:
    return Planned(STUDY, TRIALS, missing, slots)


def test_before_the_plan_it_says_what_is_being_prepared() -> None:
    progress = Progress()
    progress.apply(Preparing("rendering", 20, 100))
    assert progress.line(61.0) == "preparing the data: rendering 20/100, 1:01"


def test_time_left_is_epochs_left_times_seconds_an_epoch_over_trials_at_once() -> None:
    progress = Progress()
    progress.apply(planned(slots=2))
    assert progress.seconds_left() is None
    rotate = find("contrastive rotate")
    progress.apply(Started(rotate, 0))
    progress.apply(EpochEnded(rotate, 1, {"median_mm": 80.0}, seconds=4.0))
    progress.apply(EpochEnded(rotate, 2, {"median_mm": 79.0}, seconds=2.0))
    waiting = 20 + (5 + 15 / 3)  # supervised runs to the end, blur may be stopped
    assert progress.seconds_left() == pytest.approx((18 + waiting) * 3.0 / 2)


def test_epochs_of_an_earlier_run_do_not_spoil_the_measured_time() -> None:
    progress = Progress()
    progress.apply(planned())
    rotate = find("contrastive rotate")
    progress.apply(Started(rotate, 3))
    progress.apply(EpochEnded(rotate, 1, {"median_mm": 80.0}, seconds=math.nan))
    assert progress.seconds_left() is None


def test_the_best_so_far_is_the_lowest_median_of_a_self_supervised_trial() -> None:
    progress = Progress()
    progress.apply(planned())
    values = {"supervised": 38.0, "mean pose": 30.0, "contrastive rotate": 81.0}
    for cell, value in values.items():
        progress.apply(EpochEnded(find(cell), 1, {"median_mm": value}, seconds=1.0))
    progress.apply(EpochEnded(find("contrastive blur"), 1, {"median_mm": 90.0}, seconds=1.0))
    assert progress.best == ("contrastive rotate", 81.0)


def test_trials_of_earlier_runs_count_as_done() -> None:
    progress = Progress()
    progress.apply(planned(missing=TRIALS[:1]))
    assert progress.line(0.0).startswith(f"{len(TRIALS) - 1}/{len(TRIALS)} trials")


def test_an_ended_trial_is_done_and_no_longer_running() -> None:
    progress = Progress()
    progress.apply(planned())
    rotate = find("contrastive rotate")
    progress.apply(Started(rotate, 0))
    assert "contrastive rotate 0/20" in progress.line(0.0)
    progress.apply(Ended(rotate, "completed", 20, 70.0))
    assert progress.line(0.0).startswith(f"1/{len(TRIALS)} trials | starting workers")


def test_an_exempt_trial_is_expected_to_run_to_the_end() -> None:
    assert expected_epochs(planned(), find("contrastive rotate")) == 20
    assert expected_epochs(planned(), find("contrastive blur")) == 10


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00"), (59.6, "1:00"), (3600, "60:00")])
def test_durations_are_minutes_and_seconds(seconds: float, said: str) -> None:
    assert clock(seconds) == said
