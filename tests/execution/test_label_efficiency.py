"""A study of label efficiency: every encoder is trained once and serves all arms of its block."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from handssl.errors import InputError
from handssl.execution.single_run import SingleTrialRunner
from handssl.execution.storage import default_tracking_uri
from handssl.ledger import Ledger
from handssl.models import ResNet18
from handssl.models.pretrained import digest_of, read_encoder
from handssl.planning.study_plan import StudyPlan
from handssl.runtime.interruption import Interruption
from handssl.study.stages import LabelEfficiencyStage, Selection
from handssl.study.study import Cell, Study
from handssl.study.trials import plan_stage
from handssl.training import Execution

STUDY = Study.parse(
    {
        "name": "few-labels",
        "data": {"pretrain": 64, "probe": 48, "select": 24, "test": 24, "image_px": 64}
        | {"crop_px": 64},
        "pretrain": {
            "epochs": 1,
            "global_batch": 16,
            "encoder": {"width": 8, "input_px": 32},
            "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
            "optimizer": {"warmup_epochs": 0},
        },
        "stages": [
            {
                "kind": "cells",
                "name": "pretraining",
                "all": [{"composition": "rotate", "objective": "relative"}],
            },
            {
                "kind": "label_efficiency",
                "after": "pretraining",
                "labels": [0.25],
                "arms": ["scratch", "finetuned", "frozen"],
                "layer_decay": 0.5,
            },
        ],
        "blocks": [1, 2],
        "halving": None,
        "references": False,
    }
)
ARMS = {
    "scratch": "supervised rotate+translate finetune.labels=0.25",
    "finetuned": "supervised rotate+translate finetune.labels=0.25 init=pretraining "
    "optimizer.layer_decay=0.5",
    "frozen": "supervised rotate+translate finetune.labels=0.25 finetune.readout=probe "
    "init=pretraining optimizer.layer_decay=0",
}


class InThisProcess(SingleTrialRunner):
    """A whole study without Ray, one trial after another."""

    def execute(self, scheduler, recorder, on_event):
        self._run_missing(scheduler, recorder, on_event)


def run(storage):
    runner = InThisProcess(STUDY, storage, default_tracking_uri(storage), Interruption())
    runner.workers, runner.address, runner.execution = 1, None, Execution(device="cpu")
    runner.checkpoints, runner.until_s = None, math.inf
    runner.settings = SimpleNamespace(save=lambda *_: None)
    return runner.until_interrupted(lambda event: None)


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few") / "runs"
    assert not run(folder).failed
    return folder


@pytest.fixture(scope="module")
def cells(storage):
    """Return the records by cell and block."""
    return {(one.cell, one.block): one for one in Ledger(storage).all()}


def written(storage):
    """Return when each encoder was written."""
    return {p: p.stat().st_mtime_ns for p in storage.glob("trials/*/encoder.safetensors")}


def test_each_block_starts_from_the_encoder_of_its_own_seed(storage, cells):
    found = {}
    for block in (1, 2):
        trained = cells["relative rotate", block]
        path = storage / "trials" / trained.trial_id / "encoder.safetensors"
        found[block] = digest_of(read_encoder(path, ResNet18(width=8)))
        for arm in ("finetuned", "frozen"):
            assert cells[ARMS[arm], block].config["init"]["digest"] == found[block]
        assert cells[ARMS["scratch"], block].config["init"]["digest"] == ""
    assert found[1] != found[2]


def test_a_frozen_arm_ends_with_the_encoder_it_started_from(storage, cells):
    one = cells[ARMS["frozen"], 2]
    path = storage / "trials" / one.trial_id / "encoder.safetensors"
    assert digest_of(read_encoder(path, ResNet18(width=8))) == one.config["init"]["digest"]


def test_every_encoder_is_trained_once_and_a_second_run_trains_nothing(storage, cells):
    assert len(cells) == len(Ledger(storage).all()) == 2 * (1 + len(ARMS))
    before = written(storage)
    assert len(before) == len(cells)
    assert not run(storage).failed
    assert written(storage) == before
    assert len(Ledger(storage).all()) == len(cells)


def test_the_plan_of_the_finished_study_knows_that_nothing_is_left(storage, cells):
    plan = StudyPlan(STUDY, storage)
    planned = {trial.trial_id for stage in plan.stages for trial in stage.trials}
    assert planned == {one.trial_id for one in cells.values()}


def test_a_block_without_an_encoder_lacks_the_arms_that_need_one():
    best = Cell.parse({"composition": "rotate", "objective": "relative"})
    encoders = {1: {"weights": "a", "digest": "0" * 32}}
    before = {"pretraining": Selection(stage="pretraining", best=best, encoders=encoders)}
    trials = plan_stage(STUDY, STUDY.all_stages[1], before, lambda data: "00")
    found = {block: {t.cell for t in trials if t.block == block} for block in (1, 2)}
    assert found == {1: set(ARMS.values()), 2: {ARMS["scratch"]}}


def test_arms_of_a_block_differ_in_what_is_compared_and_in_nothing_else():
    best = Cell.parse({"composition": "rotate", "objective": "relative"})
    stage = LabelEfficiencyStage(after="pretraining", labels=(0.1, 1.0))
    cells = stage.cells({"pretraining": Selection(stage="pretraining", best=best)})
    assert len({cell.label for cell in cells}) == len(cells) == 8
    free = {"init", "finetune.labels", "finetune.readout", "optimizer.layer_decay"}
    assert all(set(cell.settings) <= free for cell in cells)
    assert {(cell.composition, cell.objective) for cell in cells} == {
        (("rotate", "translate"), "supervised")
    }


def test_an_encoder_of_other_width_is_fine_tuned_with_that_width():
    settings = {"encoder.width": 16, "temperature": 0.1}
    best = Cell.parse({"composition": "rotate", "objective": "contrastive", "settings": settings})
    stage = LabelEfficiencyStage(after="pretraining")
    cells = stage.cells({"pretraining": Selection(stage="pretraining", best=best)})
    assert all(cell.settings["encoder.width"] == 16 for cell in cells)
    assert all("temperature" not in cell.settings for cell in cells)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"after": "pretrainin"}, "did you mean 'pretraining'"),
        ({"labels": [0.0]}, "should be greater than 0"),
        ({"labels": [0.1, 0.1]}, "listed twice"),
        ({"arms": ["froze"]}, "did you mean 'frozen'"),
    ],
)
def test_mistakes_in_a_study_are_named(change, said):
    values = STUDY.model_dump(mode="json")
    values["stages"][1] |= change
    with pytest.raises(InputError, match=said):
        Study.parse(values)
