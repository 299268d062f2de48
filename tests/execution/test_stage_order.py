"""Stage after stage: what one has chosen decides the cells of the next, also after a restart."""

from __future__ import annotations

import math

import pytest

from handssl.execution import status as sweep_status
from handssl.execution.datasets import resolver
from handssl.execution.study_runner import Sweep
from handssl.planning.resources import Cluster
from handssl.runtime.interruption import Interruption
from handssl.study.events import Ended, Planned, Selected
from handssl.study.study import Study

STUDY = Study.parse(
    {
        "name": "two",
        "stages": [
            {"kind": "objectives", "transformations": ["blur", "rotate", "translate"]},
            {"kind": "compositions", "skeleton": 0},
        ],
        "pretrain": {"epochs": 4, "optimizer": {"warmup_epochs": 1}},
        "blocks": [1, 2],
        "references": False,
        "halving": None,
    }
)


class Told(Sweep):
    """A sweep whose trials give what a table says, at once."""

    values: dict[str, float]

    def execute(self, scheduler, recorder, on_event):
        on_event(self.planned(scheduler, Cluster(1, 1, 0.0, owned=True)))
        while able := [trial for trial in scheduler.missing if scheduler.may_train(trial)]:
            for trial in able:
                self.train(trial, scheduler, recorder)
            for trial in scheduler.stopped():
                recorder.end(trial, "stopped")

    def train(self, trial, scheduler, recorder):
        """Train as far as the trial may."""
        recorder.start(trial)
        value = self.values.get(trial.cell, 50.0)
        if math.isnan(value):
            recorder.end(trial, "failed", "no memory")
            scheduler.ended(trial, "failed")
            return
        for epoch in range(recorder.known_epoch(trial) + 1, scheduler.target(trial) + 1):
            metrics = {"median_mm": value + trial.block}
            recorder.epoch(trial, epoch, metrics, 0.0, scheduler.entries(trial, epoch, metrics))
            scheduler.reported(trial, epoch, metrics)
        if recorder.known_epoch(trial) == trial.epochs:
            recorder.end(trial, "completed")
            scheduler.ended(trial, "completed")
        else:
            recorder.pause(trial)


@pytest.fixture
def go(tmp_path, blob_data, monkeypatch):
    monkeypatch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
    monkeypatch.setattr(sweep_status, "prepared", lambda *_, **__: blob_data)

    def run(study=STUDY, **values):
        with Interruption() as interruption:
            sweep = Told(study, tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}", interruption)
            spaced = {name.replace("_", " "): value for name, value in values.items()}
            sweep.values = values | spaced
            events = []
            return sweep.until_interrupted(events.append), events

    return run


HALVED = STUDY.merged({"name": "halved", "halving": {"grace_epochs": 1, "reduction_factor": 2}})
WORST = "contrastive translate"  # completed with its rival, then the worst of all subsets
VALUES = {"contrastive_translate": 80.0, "relative_translate": 90.0, "relative_rotate": 40.0}


def outcomes(result):
    return {(record.cell, record.block): record.outcome for record in result.records}


def planned(events):
    return [event for event in events if isinstance(event, Planned)]


def test_the_winners_of_the_first_stage_decide_the_cells_of_the_second(go):
    result, events = go(contrastive_rotate=70.0, relative_rotate=60.0, relative_translate=90.0)
    first, second = result.selections
    assert first.objective_of == {
        "blur": "contrastive",
        "rotate": "relative",
        "translate": "contrastive",
    }
    assert {trial.cell for trial in planned(events)[1].trials} == {
        "contrastive none",
        "contrastive blur",
        "relative rotate",
        "contrastive translate",
        "mixed blur+rotate (rotate)",
        "contrastive blur+translate",
        "mixed rotate+translate (rotate)",
        "mixed blur+rotate+translate (rotate)",
    }
    assert second.best.label == "contrastive blur"
    assert [event.selection for event in events if isinstance(event, Selected)] == [first, second]


def test_trials_that_both_stages_ask_for_run_once(go):
    result, events = go(relative_rotate=40.0)
    missing = [[trial.cell for trial in event.missing] for event in planned(events)]
    assert len(missing[1]) == 2 * (8 - 3)
    assert not set(missing[0]) & set(missing[1])
    assert len({record.trial_id for record in result.records}) == len(result.records)
    assert result.planned == len(result.records) == 2 * (5 + 5)


def test_a_finished_study_makes_the_same_choices_and_runs_nothing(go):
    first, _ = go(relative_rotate=40.0)
    again, events = go(relative_rotate=99.0)
    assert again.selections == first.selections
    assert all(not event.missing for event in planned(events))


def test_what_follows_from_a_failed_trial_waits_until_it_was_run_again(go):
    result, events = go(relative_rotate=math.nan)
    assert [event.stage for event in planned(events)] == ["objectives"]
    assert [record.cell for record in result.failed] == ["relative rotate"] * 2
    result, events = go(relative_rotate=40.0)
    assert [event.stage for event in planned(events)] == ["objectives", "compositions"]
    assert not result.failed


def test_a_trial_that_was_completed_stays_so_where_a_later_stage_stops_it(go):
    result, events = go(HALVED, **VALUES)
    stopped = {(e.trial.cell, e.outcome) for e in events if isinstance(e, Ended)}
    assert {(WORST, "completed"), (WORST, "stopped")} <= stopped
    assert {outcomes(result)[WORST, block] for block in (1, 2)} == {"completed"}
    assert "stopped" in outcomes(result).values()


def test_a_finished_study_with_halving_chooses_the_same_and_tells_no_news(go, tmp_path):
    first, _ = go(HALVED, **VALUES)
    again, events = go(HALVED, **VALUES)
    assert not [event for event in events if isinstance(event, Ended)]
    assert (again.selections, outcomes(again)) == (first.selections, outcomes(first))
    seen = sweep_status.status(HALVED, tmp_path)
    assert tuple(stage.selection for stage in seen.stages) == first.selections
    states = {(one.trial.cell, one.state) for one in seen.stages[1].trials}
    assert (WORST, "stopped") in states


def test_another_study_that_goes_on_with_what_was_stopped_changes_no_choice(go):
    first, _ = go(HALVED, **VALUES)
    early = next(cell for (cell, _), outcome in outcomes(first).items() if outcome == "stopped")
    better = VALUES | {early.replace(" ", "_"): 1.0}  # would be chosen, had it been gone on with
    whole, _ = go(HALVED.merged({"name": "whole", "halving": None}), **better)
    assert whole.selections[1].best.label == early
    again, _ = go(HALVED, **better)
    assert again.selections == first.selections


SEARCHED = Study.parse(
    {
        "name": "searched",
        "stages": [
            {
                "kind": "hyperparameters",
                "composition": ["rotate"],
                "grid": {"optimizer.lr_base": [1e-4, 1e-3]},
                "points": 2,
            },
            {"kind": "objectives", "transformations": ["blur", "rotate"]},
        ],
        "pretrain": {"epochs": 4, "optimizer": {"warmup_epochs": 1}},
        "references": False,
        "halving": None,
    }
)
BETTER = "contrastive rotate optimizer.lr_base=0.001"


def test_stages_after_a_search_wait_until_all_of_its_trials_are_there(go, tmp_path):
    result, events = go(SEARCHED, **{BETTER: math.nan})
    assert [event.stage for event in planned(events)] == ["hyperparameters"]
    assert len(result.failed) == 1
    seen = sweep_status.status(SEARCHED, tmp_path)
    assert [stage.waits_for for stage in seen.stages] == ["", "hyperparameters"]
    result, events = go(SEARCHED, **{BETTER: 40.0})
    assert [event.stage for event in planned(events)] == ["hyperparameters", "objectives"]
    searched = {trial.cell for trial in planned(events)[1].trials if "contrastive" in trial.cell}
    assert all("lr_base=0.001" in cell for cell in searched)
