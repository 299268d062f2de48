"""Studies with a transformation of one's own: identity, stages, training, a whole real study."""

import math

import pytest

import handssl
from handssl.errors import InputError
from handssl.execution import study_runner
from handssl.execution.datasets import resolver
from handssl.planning.planned_trials import plan_stages, transformations_of
from handssl.planning.rehearsal import rehearse
from handssl.study.cell import Cell
from handssl.study.identity import trial_id
from handssl.study.trials import plan_study
from handssl.training import PretrainConfig, Trial
from handssl.transforms import PAPER_SEVEN

HERE = "tests.transforms.custom"
OWN = {"custom": [f"{HERE}:Dim", f"{HERE}:Posterise"]}
SMALL = {
    "epochs": 2,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
    "optimizer": {"warmup_epochs": 1},
}
STUDY = handssl.Study.parse(
    {
        "name": "mine",
        "pretrain": SMALL | {"augmentation": OWN},
        "stages": [
            {"kind": "objectives", "transformations": ["dim", "posterise", "rotate"]},
            {"kind": "compositions", "skeleton": 4},
        ],
        "halving": None,
        "references": False,
    }
)


def config_of(**changes):
    values = {"composition": ["dim", "rotate"], "objective": "relative", "augmentation": OWN}
    return PretrainConfig.parse(SMALL | values | changes)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "bf17a87117bf7a23"),
        (
            {
                "composition": list(PAPER_SEVEN),
                "objective": "mixed",
                "relative_on": ["rotate", "translate"],
            },
            "d39dfad4420ea423",
        ),
        (
            {
                "composition": ["scale"],
                "objective": "relative",
                "augmentation": {"scale": {"probability": 0.5}},
            },
            "fe0bad471cfd5be7",
        ),
        (
            {"composition": ["blur"], "augmentation": {"quirks": {"published_order": True}}},
            "593466e331df574c",
        ),
    ],
)
def test_trials_without_any_keep_the_identity_they_had_before_there_were_any(values, name):
    config = PretrainConfig.parse(values)
    assert trial_id(config, "data") == name
    with_one_that_is_off = config.merged({"augmentation.custom": OWN["custom"]})
    assert trial_id(with_one_that_is_off, "data") == name


@pytest.mark.parametrize(
    "change",
    [
        {"path": "elsewhere:Dim"},
        {"name": "dimmer"},
        {"ranges": [[0.0, 0.4], [0.0, 0.6]]},
        {"probability": 0.9},
    ],
)
def test_what_a_configuration_keeps_of_it_is_part_of_the_identity(change):
    kept = config_of().augmentation.custom[0].model_dump(mode="json")
    changed = kept | change
    other = config_of(composition=[changed["name"], "rotate"], augmentation={"custom": [changed]})
    assert trial_id(other, "data") != trial_id(config_of(), "data")


def test_the_order_of_two_is_part_of_the_identity_and_the_resolved_form_is_not():
    both = config_of(composition=["dim", "posterise"])
    turned = config_of(
        composition=["posterise", "dim"], augmentation={"custom": OWN["custom"][::-1]}
    )
    assert trial_id(both, "data") != trial_id(turned, "data")
    read = PretrainConfig.parse(both.model_dump(mode="json"))
    assert trial_id(read, "data") == trial_id(both, "data")


def test_a_stage_tries_both_objectives_where_it_can_be_predicted():
    labels = [cell.label for cell in STUDY.all_stages[0].cells({})]
    assert labels == [
        "contrastive dim",
        "contrastive posterise",
        "contrastive rotate",
        "relative dim",
        "relative rotate",
    ]
    reasons = STUDY.all_stages[0].select([]).reasons
    assert reasons[-1] == "posterise: contrastive, without parameters to predict"
    assert "no seed has both arms" in reasons[0]


def test_a_study_says_the_same_after_it_was_stored():
    read = handssl.Study.parse(STUDY.model_dump(mode="json"))
    assert read == STUDY
    assert plan_study(read, "data") == plan_study(STUDY, "data")


def test_all_compositions_and_what_is_foreseen_include_it():
    first, second = plan_stages(STUDY, lambda data: "data", {})
    assert transformations_of(second) == ("dim", "posterise", "rotate")
    assert len({trial.cell for trial in second.trained}) == 8
    mixed = next(t for t in second.trials if t.config.composition == ("dim", "posterise"))
    assert mixed.config.relative_on == ("dim",)
    shared = {t.trial_id for t in first.trials} & {t.trial_id for t in second.trials}
    assert len(shared) == 3
    assert len(rehearse(STUDY)) == 2


def test_a_cell_lists_only_what_is_on():
    trials = {trial.cell: trial for trial in plan_study(STUDY, "data")}
    assert trials["contrastive rotate"].config.augmentation.custom == ()
    (kept,) = trials["relative dim"].config.augmentation.custom
    assert kept.path == f"{HERE}:Dim"


def test_names_that_a_study_does_not_list_are_refused_where_they_stand():
    with pytest.raises(InputError, match=r"cells\.0\.composition\.0: unknown name 'dim'; valid"):
        handssl.Study.parse({"name": "x", "cells": [{"composition": ["dim"]}]})
    values = {"name": "x", "pretrain": {"augmentation": OWN}}
    stage = {"kind": "objectives", "transformations": ["dimm"]}
    with pytest.raises(InputError, match=r"transformations\.0: unknown .* did you mean 'dim'"):
        handssl.Study.parse(values | {"stages": [stage]})
    cells = [Cell(composition=("posterise",), objective="relative")]
    with pytest.raises(InputError, match="which has no parameters to predict"):
        handssl.Study.parse(values | {"cells": cells})


@pytest.mark.parametrize("objective", ["contrastive", "relative", "mixed"])
def test_a_trial_that_goes_on_gives_what_an_uninterrupted_one_gives(objective, blob_data, tmp_path):
    relative = {"relative_on": ["dim"]} if objective == "mixed" else {}
    config = config_of(objective=objective, composition=["dim", "rotate"], **relative)
    *_, whole = Trial(config, blob_data, tmp_path / "whole").epochs()
    next(iter(Trial(config, blob_data, tmp_path / "parts").epochs()))
    *_, last = Trial(config, blob_data, tmp_path / "parts").epochs()
    kept = [name for name in whole.metrics if not name.startswith(("time/", "train/data_s"))]
    assert all(
        whole.metrics[name] == last.metrics[name] for name in kept if not name.endswith("_s")
    )
    if objective != "contrastive":
        assert math.isfinite(last.metrics["train/loss/dim"])


def test_targets_as_published_are_plain_differences_of_an_own_one(blob_data, tmp_path):
    published = {"targets": "published", "order": "one"}
    config = config_of(relative=published, epochs=2)
    *_, last = Trial(config, blob_data, tmp_path).epochs()
    assert math.isfinite(last.metrics["train/loss/dim"])


def test_a_trial_with_one_that_breaks_its_protocol_does_not_start(blob_data, tmp_path):
    config = config_of(augmentation={"custom": [f"{HERE}:brighter"]})
    with pytest.raises(InputError, match=r"expected images in \[0, 1\]"):
        Trial(config, blob_data, tmp_path)
    off = config.merged({"composition": ["rotate"]})
    assert Trial(off, blob_data, tmp_path / "off").steps_made == 0


@pytest.mark.slow
def test_a_study_with_it_in_both_objectives_runs_to_its_end(blob_data, tmp_path, monkeypatch):
    monkeypatch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
    values = STUDY.model_dump(mode="json")
    values["stages"][0]["transformations"] = ["dim", "color_drop"]
    result = study_runner.run(handssl.Study.parse(values), storage=tmp_path / "runs")
    cells = {record.cell: record for record in result.records}
    assert {record.outcome for record in result.records} == {"completed"}
    assert {"contrastive dim", "relative dim", "contrastive color_drop"} <= set(cells)
    assert {record.composition for record in result.records} == {
        "none",
        "color_drop",
        "dim",
        "color_drop+dim",
    }
    assert all(math.isfinite(r.metrics["test_median_mm"]) for r in result.records)
    assert cells["relative dim"].metrics["train/loss/dim"] > 0.0
    assert set(result.selections[0].compared) == {"dim", "color_drop"}
    assert handssl.write_report(result).exists()
