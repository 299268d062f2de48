from __future__ import annotations

import math

import pytest

from handssl.execution.progress import Progress, clock, expected_epochs
from handssl.execution.speed import images_per_s, waiting_share
from handssl.study.events import (
    Ended,
    EpochEnded,
    Planned,
    Preparing,
    Started,
    StepEnded,
    Waiting,
    WorkerEvent,
)
from handssl.study.run_config import RunConfig
from handssl.study.study import Cell, Halving, Study
from handssl.study.trials import PlannedTrial, plan_study
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


def test_reused_stopped_and_diverged_trials_are_counted_apart() -> None:
    progress = Progress()
    progress.apply(planned(missing=TRIALS[-3:]))
    progress.apply(Ended(TRIALS[-1], "stopped", 5, 80.0))
    progress.apply(Ended(TRIALS[-2], "diverged", 2, math.nan))
    done, total = len(TRIALS) - 1, len(TRIALS)
    said = f"{done}/{total} trials ({total - 3} reused, 1 stopped, 1 diverged)"
    assert progress.line(0.0).startswith(said)


def test_device_hours_are_seconds_of_all_trials_times_what_each_takes_of_a_device() -> None:
    progress = Progress()
    plan = planned()
    progress.apply(Planned(STUDY, TRIALS, TRIALS, slots=8, devices=0.25, device="GPU"))
    rotate = find("contrastive rotate")
    progress.apply(Started(rotate, 0))
    assert "hours" not in progress.line(0.0)
    progress.apply(EpochEnded(rotate, 1, {}, seconds=7200.0))
    progress.apply(EpochEnded(rotate, 2, {}, seconds=7200.0))
    waiting = sum(expected_epochs(plan, trial) for trial in TRIALS if trial != rotate)
    left = (18 + waiting) * 2 * 0.25
    assert f"GPU hours: 1.00 used, about {left:.2f} left" in progress.line(0.0)


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


ALONE = RunConfig(pretrain=PretrainConfig(composition=("rotate",), global_batch=64)).study()
METRICS = {
    "train/views_per_s": 1000.0,
    "train/views_per_step": 128.0,
    "train/encoder_views": 4000.0,
    "train/data_s": 0.5,
    "train/loss": 1.25,
    "median_mm": 80.0,
}


def alone() -> tuple[Progress, PlannedTrial]:
    """The progress of a run of one trial, and the trial."""
    (trial,) = plan_study(ALONE, "data")
    progress = Progress()
    progress.apply(Planned(ALONE, (trial,), (trial,), 1))
    progress.apply(Started(trial, 0))
    return progress, trial


def test_a_run_alone_says_how_fast_it_learns_and_what_it_has_learned() -> None:
    progress, trial = alone()
    progress.apply(EpochEnded(trial, 2, METRICS, seconds=30.0))
    progress.apply(StepEnded(trial, 3, 16))
    # 2,000 views an epoch at 1,000 a second are 2 s, of which 0.5 s were data.
    assert progress.line(61.0) == (
        "contrastive rotate | epoch 3/100, step 3/16 | 500 images/s | 25% waiting for data | "
        "loss 1.250 | median 80.0 mm | 1:01 elapsed | about 49:00 left"
    )


def test_the_time_left_of_a_run_alone_forgets_the_epoch_with_the_start_in_it() -> None:
    progress, trial = alone()
    for epoch, seconds in ((1, 60.0), (2, 4.0), (3, 2.0)):
        progress.apply(EpochEnded(trial, epoch, METRICS, seconds))
    assert progress.seconds_left() == pytest.approx(97 * 3.0)


def test_what_a_run_waits_for_is_said_until_it_is_there() -> None:
    progress, trial = alone()
    progress.apply(Waiting("workers"))
    assert progress.line(3.0) == "waiting for workers, 0:03"
    progress.apply(EpochEnded(trial, 1, METRICS, 1.0))
    assert "epoch 1/100" in progress.line(4.0)


def test_what_was_not_measured_is_not_said() -> None:
    progress, trial = alone()
    assert "images/s" not in progress.line(0.0)
    assert images_per_s(trial, {}) is None
    assert waiting_share(1, {"train/views_per_s": 1.0}) is None


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00"), (59.6, "1:00"), (3600, "60:00")])
def test_durations_are_minutes_and_seconds(seconds: float, said: str) -> None:
    assert clock(seconds) == said


def test_what_happens_to_the_workers_of_a_run_is_said_until_it_steps_on() -> None:
    progress, trial = alone()
    lack = "waiting for workers: 1 CPUs, expected 2 or more"
    progress.apply(WorkerEvent(trial, lack, 0))
    assert progress.line(3.0) == f"{lack}, 0:03"
    progress.apply(StepEnded(trial, 1, 16))
    assert lack not in progress.line(4.0)


def test_what_happens_to_one_of_many_trials_does_not_hide_the_others() -> None:
    progress = Progress()
    progress.apply(planned())
    before = progress.line(3.0)
    progress.apply(
        WorkerEvent(TRIALS[0], "its node is gone; it is tried again in another process", 0)
    )
    assert progress.line(3.0) == before
