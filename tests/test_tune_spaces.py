from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

import handssl
from handssl.errors import InputError
from handssl.planning.document import document
from handssl.planning.planned_trials import plan_stages
from handssl.planning.remaining_work import work_of
from handssl.planning.study_plan import StudyPlan
from handssl.scheduling.halving import Arm
from handssl.scheduling.halving.rules import cohorts_of
from handssl.study.stages import Selection
from handssl.study.trials import plan_stage
from tune_spaces import compositions, demo, hyperparameters, objectives, paper, published, smoke

FOUR = {"color_jitter", "rotate", "scale", "translate"}


def test_the_cells_are_those_of_section_4_2() -> None:
    cells = objectives.study().all_stages[0].cells({})
    contrastive = {cell.composition for cell in cells if cell.objective == "contrastive"}
    relative = {cell.composition for cell in cells if cell.objective == "relative"}
    seven = ("blur", "color_jitter", "cutout", "noise", "rotate", "sobel", "translate")
    assert contrastive == {(name,) for name in seven}
    assert relative == {("color_jitter",), ("rotate",), ("translate",)}
    assert len(cells) == 10


def test_exactly_the_six_cells_with_a_rival_are_exempt_from_stopping() -> None:
    exempt = [
        cell.composition[0] for cell in objectives.study().all_stages[0].cells({}) if cell.exempt
    ]
    assert sorted(exempt) == sorted(["translate", "rotate", "color_jitter"] * 2)


def test_an_unknown_transformation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'rotate'"):
        objectives.study(transformations=["rotat"])


@pytest.mark.parametrize("size", list(demo.SIZES))
def test_every_size_of_the_demo_is_a_valid_study(size: str) -> None:
    study = demo.study(size)
    assert study.blocks == demo.SIZES[size].blocks
    assert study.halving is not None
    assert study.halving.grace_epochs < study.pretrain.epochs
    assert study.references


def test_the_demo_of_compositions_puts_each_transformation_on_the_objective_it_won() -> None:
    first, second = demo.study("compositions").all_stages
    assert len(first.cells({})) == 6
    won = {"translate": "relative", "rotate": "contrastive", "color_jitter": "relative"}
    cells = second.cells({"objectives": Selection(stage="objectives", objective_of=won)})
    assert len(cells) == 8
    assert cells[-1].label == "mixed color_jitter+rotate+translate (color_jitter+translate)"


def test_an_unknown_size_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'small'"):
        demo.study("smal")


def test_the_smoke_study_has_the_cells_of_the_demo() -> None:
    assert smoke.study().stages == demo.study().stages


def test_importing_handssl_costs_nothing_and_its_names_resolve() -> None:
    code = (
        "import sys, handssl\n"
        "assert not {'torch', 'ray', 'mlflow', 'pydantic'} & set(sys.modules)\n"
        "for name in handssl.__all__: getattr(handssl, name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_name_handssl_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        handssl.nonsense  # noqa: B018


@pytest.mark.parametrize("space", [compositions, objectives, paper, published])
def test_every_study_of_the_paper_can_be_written_as_yaml_and_read_again(space, tmp_path) -> None:
    study = space.study()
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json")), encoding="utf-8")
    assert type(study).load(file) == study


def test_the_published_compositions_are_all_subsets_of_four_on_each_objective() -> None:
    cells = published.study().cells
    for objective in ("contrastive", "relative"):
        composed = [c for c in cells if c.objective == objective and set(c.composition) <= FOUR]
        assert len({c.composition for c in composed}) == 15
    assert all(cell.exempt for cell in cells)
    assert {c.composition[0] for c in cells if not set(c.composition) <= FOUR} == {
        *("blur", "color_drop", "cutout", "noise", "sobel")
    }


def test_the_search_of_the_paper_tries_as_many_different_trials_of_each_objective() -> None:
    study = paper.study()
    trials = plan_stage(study, study.all_stages[0], {}, lambda data: "data")
    ids = [{t.trial_id for t in trials if t.objective == o} for o in paper.ARMS]
    assert [len(one) for one in ids] == [12, 12, 12]
    assert len(trials) == 36
    read = {
        "contrastive": set(hyperparameters.GRID) - {"relative.weighting"},
        "relative": set(hyperparameters.GRID) - {"temperature"},
        "supervised": set(hyperparameters.GRID) - {"relative.weighting", "temperature"},
    }
    for cell in study.all_stages[0].cells({}):
        assert set(cell.settings) == read[cell.objective]


def test_no_point_of_the_search_competes_with_another_and_the_plan_counts_all_epochs() -> None:
    study = paper.study()
    assert study.halving is not None
    trials = plan_stage(study, study.all_stages[0], {}, lambda data: "data")
    arms = [Arm(t.trial_id, t.block, t.exempt, t.epochs) for t in trials]
    assert cohorts_of(arms, study.halving.rules(study.pretrain.epochs)) == []
    work = work_of(study, plan_stages(study, lambda data: "data", {}), {})
    assert work[0].epochs == 36 * study.pretrain.epochs


def test_the_plan_of_the_paper_shows_what_its_search_costs(tmp_path) -> None:
    first, *later = document(StudyPlan(paper.study(), tmp_path))["stages"]
    without = document(StudyPlan(paper.study(search=False), tmp_path))["stages"]
    assert (first["name"], first["trials"], first["exempt"]) == ("hyperparameters", 36, 36)
    assert first["blocks"] == [1001]
    # 36 points of 100 epochs; 117,216 images in whole batches of 512, 1024 or 2048, two views each
    # of the self-supervised ones, one of the supervised ones.
    assert first["epochs_left"] == 3600
    per_epoch = first["views_left"] / 3600
    assert 4 / 3 * 105_496 < per_epoch < 5 / 3 * 117_216
    assert all("hyperparameters" in stage["needs"] for stage in later)
    trials = [stage["trials"] for stage in later]
    assert trials == [stage["trials"] for stage in without]
    assert sum(stage["epochs_left"] for stage in without) > first["epochs_left"]


def test_the_published_recipe_starts_from_a_file_with_the_settings_of_the_code() -> None:
    study = published.study(code=True, init="resnet18.pth")
    assert study.name == "published-code"
    assert study.pretrain.init.weights == "resnet18.pth"
    assert study.pretrain.encoder.width == 64  # torchvision's
    assert study.pretrain.augmentation.quirks.on
    assert study.pretrain.relative.targets == "published"
    assert study.pretrain.optimizer.masks == "published"
    # 512 images in each of 4 passes.
    assert study.pretrain.global_batch // study.pretrain.accumulation == 512
    assert study.stages == published.study().stages
    assert study.cells == published.study().cells
    assert published.study(init="a.pth").pretrain.merged({"init": "random"}) == (
        published.study().pretrain
    )
