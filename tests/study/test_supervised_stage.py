"""Stage of Sec. 4.5: rows with the heatmap network, their comparison, and a small study of them."""

from pathlib import Path

import pytest

from handssl.errors import InputError
from handssl.evaluation import head_probe
from handssl.execution.datasets import resolver
from handssl.execution.study_runner import Sweep
from handssl.planning.resources import Cluster
from handssl.runtime.interruption import Interruption
from handssl.stats.verdict import judge
from handssl.study.cell import Cell
from handssl.study.events import Selected
from handssl.study.stages import Finding, Selection, SupervisedStage
from handssl.study.study import Study
from handssl.training import Trial
from tests.stores import copied_stores  # noqa: F401

FILE = Path(__file__).parents[2] / "benchmarks" / "studies" / "sec45.yaml"
BEST = Cell(composition=("rotate",), objective="relative")
BEFORE = {"compositions": Selection(stage="compositions", best=BEST)}
STAGE = SupervisedStage.parse({"heatmap": {"width": 16, "hidden": 8}})
HEAT = "encoder.map_stride=4 encoder.name=heatmap encoder.width=16"


def test_each_arm_stands_beside_a_heatmap_and_a_direct_regressor_of_equal_cost():
    labels = [cell.label for cell in STAGE.cells(BEFORE)]
    assert labels == [
        "relative rotate",
        "supervised",
        "supervised rotate",
        f"relative rotate {HEAT} heads.projection_hidden=8 heads.relative_hidden=8",
        f"supervised {HEAT}",
        f"supervised rotate {HEAT}",
        "supervised encoder.width=8",
        "supervised rotate encoder.width=8",
    ]
    assert all(cell.exempt for cell in STAGE.cells(BEFORE))


def test_networks_are_compared_by_paired_differences_that_hold_together():
    cells = STAGE.cells(BEFORE)
    errors = {
        c.label: {b: 50.0 + 3 * i + 0.1 * b * i for b in (1, 2, 3)} for i, c in enumerate(cells)
    }
    found = [
        Finding(cell, block, "completed", 3, mm)
        for cell in cells
        for block, mm in errors[cell.label].items()
    ]
    own, _, _, frozen, *heat_and_direct = (cell.label for cell in cells)
    heat, direct = heat_and_direct[:2], heat_and_direct[2:]
    pairs = [(frozen, own), (frozen, heat[0]), (frozen, heat[1]), *zip(heat, direct, strict=True)]
    verdicts = [judge(errors[a], errors[b], cells=5) for a, b in pairs]
    expected = [
        f"{a} against {b}: {v.word}, {v.reason}" for (a, b), v in zip(pairs, verdicts, strict=True)
    ]
    reasons = STAGE.decide(found, BEFORE).reasons
    assert [*reasons[-5:]] == expected
    assert "heatmap 18.8 million, ResNet-18 of width 8 13.5 million, 0.72 times" in reasons[-6]
    assert [verdict.word for verdict in verdicts] == ["not better", *["better"] * 4]


def test_without_the_network_the_stage_is_as_before():
    plain = SupervisedStage()
    assert len(plain.cells(BEFORE)) == 3
    assert plain.decide([], BEFORE).reasons == ("no cell completed",)


def test_an_own_encoder_of_equal_cost_is_a_mistake_with_advice():
    with pytest.raises(InputError, match="both rows are one trial; expected another heatmap"):
        Study.load(FILE).merged({"pretrain.encoder.width": 24})


class Small(Sweep):
    """A sweep that trains its trials here, one after the other."""

    trained: list[str]
    data: Path

    def execute(self, scheduler, recorder, on_event):
        on_event(self.planned(scheduler, Cluster(1, 1, 0.0, owned=True)))
        for trial in list(scheduler.missing):
            self.trained.append(trial.trial_id)
            recorder.start(trial)
            folder = self.storage / "trials" / trial.trial_id
            for result in Trial(trial.config, self.data, folder).epochs():
                entries = scheduler.entries(trial, result.epoch, result.metrics)
                recorder.epoch(trial, result.epoch, result.metrics, 0.0, entries)
                scheduler.reported(trial, result.epoch, result.metrics)
            recorder.end(trial, "completed")
            scheduler.ended(trial, "completed")


def test_the_study_of_the_benchmark_runs_small_and_trains_nothing_twice(
    tmp_path, blob_data, monkeypatch
):
    monkeypatch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
    monkeypatch.setattr(head_probe, "UPDATES", 5)
    study = Study.load(FILE).merged(
        {
            "pretrain": {
                "epochs": 1,
                "global_batch": 32,
                "encoder": {"width": 16, "input_px": 32},
                "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
                "optimizer": {"warmup_epochs": 0},
            },
            "stages": [
                {"kind": "cells", "all": [{"composition": "rotate", "objective": "relative"}]},
                {"kind": "supervised", "after": "cells", "heatmap": {"width": 8, "hidden": 8}},
            ],
            "blocks": [1, 2],
            "references": False,
        }
    )
    with Interruption() as interruption:
        sweep = Small(study, tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}", interruption)
        sweep.trained, sweep.data, events = [], blob_data, []
        sweep.until_interrupted(events.append)
    # Per block: one cell, once for both stages; 2 supervised, 1 frozen, 2 + 2 of equal cost.
    assert len(sweep.trained) == len(set(sweep.trained)) == 2 * (1 + 2 + 1 + 2 + 2)
    *_, last = (event for event in events if isinstance(event, Selected))
    assert (
        sum(" against " in reason and "2 seeds" in reason for reason in last.selection.reasons) >= 5
    )
