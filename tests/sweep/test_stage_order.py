"""Stage after stage: what one has chosen decides the cells of the next, also after a restart."""

from __future__ import annotations

import math

import pytest

from handssl.sweep import places
from handssl.sweep.events import Planned, Selected
from handssl.sweep.interruption import Interruption
from handssl.sweep.local_ray import Cluster
from handssl.sweep.runner import Sweep
from handssl.sweep.study import Study

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
        for trial in scheduler.missing:
            recorder.start(trial)
            value = self.values.get(trial.cell, 50.0)
            if math.isnan(value):
                recorder.end(trial, "failed", "no memory")
                continue
            recorder.epoch(trial, 4, {"median_mm": value + trial.block}, 0.0)
            recorder.end(trial, "completed")


@pytest.fixture
def go(tmp_path, blob_data, monkeypatch):
    monkeypatch.setattr(places, "prepare", lambda *_, **__: blob_data)

    def run(**values):
        with Interruption() as interruption:
            sweep = Told(STUDY, tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}", interruption)
            sweep.values = {name.replace("_", " "): value for name, value in values.items()}
            events = []
            return sweep.until_interrupted(events.append), events

    return run


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
