from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from handssl.errors import InputError
from handssl.study.study import Cell, Halving, Study
from handssl.study.trials import plan_study
from handssl.training.config import PretrainConfig

PRETRAIN = PretrainConfig(epochs=20)
CELLS = (
    Cell(composition=("noise",)),
    Cell(composition=("rotate",), exempt=True),
    Cell(composition=("rotate",), objective="relative", exempt=True),
)


def make(**changes: object) -> Study:
    values = {"name": "x", "cells": CELLS, "pretrain": PRETRAIN, "blocks": (1, 2)} | changes
    return Study.parse(values)


def test_every_mistake_is_reported_at_once_with_its_path_and_the_nearest_name() -> None:
    values = {
        "name": "x",
        "cells": [
            {"composition": ["rotat"]},
            {"composition": ["blur"], "objective": "contrastiv"},
            {"composition": ["blur"], "exemptt": True},
        ],
        "pretrain": {"epochs": 0, "encoder": {"widht": 16}},
        "halving": {"reduction_factor": 0.5},
    }
    with pytest.raises(InputError) as caught:
        Study.parse(values)
    message = str(caught.value)
    assert message.startswith("6 mistakes")
    assert "cells.0.composition.0: unknown name 'rotat'; did you mean 'rotate'?" in message
    assert "cells.1.objective: unknown name 'contrastiv'; did you mean 'contrastive'?" in message
    assert "cells.2.exemptt: unknown key (got True); did you mean 'exempt'?" in message
    assert "pretrain.epochs" in message
    assert "pretrain.encoder.widht: unknown key (got 16); did you mean 'width'?" in message
    assert "halving.reduction_factor" in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"blocks": [1, 1]}, "listed twice"),
        ({"cells": []}, "at least 1"),
        ({"cells": [{"composition": "blur"}, {"composition": ["blur"]}]}, "contrastive blur"),
        ({"cells": [{"composition": "blur", "objective": "relative"}]}, "rotate"),
        ({"cells": [{"composition": "blur+blur"}]}, "named twice"),
        ({"halving": {"grace_epochs": 21}}, "at most pretrain.epochs = 20"),
        ({"pretrain": {"objective": "supervised"}}, "belong to cells"),
        ({"name": "no blanks"}, "pattern"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused_with_the_reason(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        make(**changes)


def test_yaml_and_python_say_the_same_study(tmp_path: Path) -> None:
    study = make()
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json")), encoding="utf-8")
    assert Study.load(file) == study


ONCE = {"mean pose", "true-angle oracle", "RGB ridge 16x16", "HOG ridge"}


def test_the_plan_holds_every_cell_in_every_block_and_what_no_seed_changes_once() -> None:
    plan = plan_study(make(), "data")
    assert len({trial.trial_id for trial in plan}) == len(plan) == 2 * (3 + 2) + 4
    per_block = [{trial.cell for trial in plan if trial.block == block} for block in (1, 2)]
    assert per_block[0] - per_block[1] == ONCE
    assert {"random encoder", "supervised"} < per_block[1] < per_block[0]


def test_what_no_seed_changes_is_the_same_result_in_every_study_of_its_data() -> None:
    def ids(**changes: object) -> set[tuple[str, str]]:
        pretrain = PRETRAIN.merged(changes)
        plan = plan_study(make(pretrain=pretrain, blocks=(7,) if changes else (1, 2)), "data")
        return {(trial.cell, trial.trial_id) for trial in plan if trial.cell in ONCE}

    assert ids() == ids(**{"encoder.width": 8, "optimizer.lr_base": 0.01})
    larger = ids(**{"encoder.input_px": 96}) - ids()
    assert {cell for cell, _ in larger} == {"RGB ridge 16x16", "HOG ridge"}


def test_all_trials_of_a_block_share_its_seed() -> None:
    plan = [trial for trial in plan_study(make(), "data") if trial.cell not in ONCE]
    assert all(trial.config.seed == trial.block for trial in plan)


def test_exempt_cells_start_before_those_that_may_stop() -> None:
    block = [trial for trial in plan_study(make(), "data") if trial.block == 1 and trial.epochs]
    flags = [trial.exempt for trial in block]
    assert flags == sorted(flags, reverse=True)


def test_without_references_only_the_cells_are_planned() -> None:
    assert len(plan_study(make(references=False), "data")) == 2 * 3


def test_a_trial_is_the_same_trial_in_another_study() -> None:
    other = make(name="y", cells=CELLS[:1], blocks=(2,), halving=Halving(grace_epochs=5))
    ids = {trial.trial_id for trial in plan_study(make(), "data")}
    assert {trial.trial_id for trial in plan_study(other, "data")} < ids


def test_parameters_of_transformations_that_are_off_stay_at_their_defaults() -> None:
    study = make(pretrain=PRETRAIN.merged({"augmentation.blur.probability": 0.9}))
    resolved = study.config(Cell(composition=("rotate",)), 1)
    assert resolved.augmentation == PretrainConfig().augmentation


def test_a_mixed_cell_says_which_transformations_are_relative() -> None:
    cells = [
        {"composition": "noise+rotate+translate", "objective": "mixed", "relative_on": on}
        for on in ("rotate", "translate", "rotate+translate")
    ]
    study = Study.parse({"name": "x", "cells": cells, "references": False})
    assert [cell.label for cell in study.cells] == [
        "mixed noise+rotate+translate (rotate)",
        "mixed noise+rotate+translate (translate)",
        "mixed noise+rotate+translate (rotate+translate)",
    ]
    trials = plan_study(study, "00")
    assert len({trial.trial_id for trial in trials}) == 3
    assert trials[0].config.relative_on == ("rotate",)


@pytest.mark.parametrize(("on", "pure"), [("rotate", "relative"), ((), "contrastive")])
def test_a_mixed_cell_with_all_on_one_objective_is_that_objective(on: Any, pure: str) -> None:
    mixed = Cell.parse({"composition": "rotate", "objective": "mixed", "relative_on": on})
    assert mixed == Cell.parse({"composition": "rotate", "objective": pure})


def test_options_that_an_objective_does_not_read_are_no_part_of_its_trials() -> None:
    cells = [{"composition": "rotate"}]
    plain = Study.parse({"name": "x", "cells": cells})
    other = plain.merged({"pretrain.mixed": "joint", "pretrain.relative.norm": "l2"})
    ids = [{t.trial_id for t in plan_study(study, "00")} for study in (plain, other)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"composition": "rotate", "relative_on": ["rotate"]}, "belongs to objective 'mixed'"),
        (
            {"composition": "noise+rotate", "objective": "mixed", "relative_on": ["noise"]},
            "relative_on: expected transformations of the composition with parameters",
        ),
        (
            {"composition": "noise", "objective": "mixed", "relative_on": ["rotate"]},
            "relative_on: expected transformations of the composition with parameters",
        ),
        ({"composition": "noise", "objective": "equivariant"}, "needs one of rotate, translate"),
    ],
)
def test_a_cell_that_an_objective_cannot_run_is_refused(cell: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Study.parse({"name": "x", "cells": [cell]})


def test_the_quirks_of_a_study_reach_every_cell():
    study = Study.parse(
        {
            "name": "as-published",
            "cells": [{"composition": ["rotate"], "objective": "relative"}],
            "pretrain": {"augmentation": {"quirks": {"integer_degrees": True}}},
        }
    )
    assert study.config(study.cells[0], 1).augmentation.quirks.integer_degrees
