"""The Python API beyond `run`: results as they come, a searcher, own datasets and encoders."""

import math
import threading

import numpy as np
import pytest
import torch
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher
from ray.tune.search.optuna import OptunaSearch
from torch import nn

import handssl
from handssl.errors import InputError
from handssl.execution.datasets import resolver
from handssl.models import EncoderConfig, build_encoder, encoder_name
from handssl.training import PretrainConfig, Trial
from tests.conftest import BlobHands
from tests.execution.scripted import made, scripted_ray, write

pytestmark = pytest.mark.faults

NAMES = ("blur", "cutout", "noise", "sobel")
STUDY = handssl.Study.parse(
    {
        "name": "api",
        "cells": [{"composition": [name]} for name in NAMES],
        "pretrain": {"epochs": 2, "optimizer": {"warmup_epochs": 1}},
        "halving": None,
        "references": False,
    }
)


@pytest.fixture(scope="module")
def one_ray(tmp_path_factory):
    """A Ray whose trials only report, and the script that they follow."""
    script = tmp_path_factory.mktemp("script") / "script.json"
    with scripted_ray(script, {}):
        yield script


@pytest.fixture
def scripted(one_ray, blob_data, monkeypatch):
    """Say what happens to trials from now on."""
    monkeypatch.setattr(resolver, "prepare", lambda *_, **__: blob_data)
    return lambda happens: write(one_ray, happens)


def test_trials_come_as_they_end_and_the_whole_result_last(scripted, tmp_path):
    scripted({})
    with handssl.stream(STUDY, storage=tmp_path / "runs") as stream:
        records = list(stream)
        assert [record.outcome for record in records] == ["completed"] * 4
        assert {record.composition for record in records} == set(NAMES)
        assert not stream.result.interrupted
        assert list(stream) == []


def test_a_stream_that_is_left_early_ends_the_study_which_goes_on_later(scripted, tmp_path):
    storage = tmp_path / "runs"
    scripted({"contrastive sobel": {2: "hang"}})
    with handssl.stream(STUDY, storage=storage) as stream:
        first = next(iter(stream))
    assert stream.result.interrupted
    assert first.outcome == "completed"
    scripted({})
    rest = handssl.run(STUDY, storage=storage)
    assert [record.outcome for record in rest.records] == ["completed"] * 4
    assert all(epochs == [1, 2] for epochs in made(storage).values())


def test_what_run_refuses_is_raised_by_the_iterator(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        list(handssl.stream(STUDY, storage=tmp_path / "file"))
    assert [t for t in threading.enumerate() if t.name == "stream"] == []


class Halves(Searcher):
    """Tries a learning rate, then half of the best so far."""

    def __init__(self):
        super().__init__(metric="median_mm", mode="min")
        self.asked, self.told, self.best = {}, {}, (math.inf, 1e-3)

    def suggest(self, trial_id):
        self.asked[trial_id] = {"optimizer.lr_base": self.best[1] / 2 ** len(self.asked)}
        return self.asked[trial_id]

    def on_trial_complete(self, trial_id, result=None, error=False):
        self.told[trial_id] = result and result["median_mm"]

    def save(self, path): ...

    def restore(self, path): ...


def test_a_searcher_of_tune_suggests_points_and_learns_what_they_gave(scripted, tmp_path):
    storage, searcher = tmp_path / "runs", Halves()
    wanted = {
        "composition": ["rotate"],
        "objective": "relative",
        "points": 3,
        "max_concurrent_trials": 2,
    }
    scripted({})
    found = handssl.search(STUDY, searcher, storage=storage, **wanted)
    rates = [point.settings["optimizer.lr_base"] for point in found.points]
    assert rates == [1e-3, 5e-4, 2.5e-4]
    assert [point.value_mm for point in found.points] == list(searcher.told.values())
    assert found.best.value_mm == min(searcher.told.values())
    assert {r.block for point in found.points for r in point.records} == {1001}
    before = made(storage)
    again = handssl.search(STUDY, Halves(), storage=storage, **wanted)
    assert [point.value_mm for point in again.points] == [p.value_mm for p in found.points]
    assert made(storage) == before


def test_a_searcher_that_waits_for_results_gets_them_before_it_goes_on(scripted, tmp_path):
    limited = ConcurrencyLimiter(Halves(), max_concurrent=1)
    scripted({})
    found = handssl.search(
        STUDY,
        limited,
        composition=["rotate"],
        points=2,
        max_concurrent_trials=2,
        storage=tmp_path / "runs",
    )
    assert len(found.points) == 2


class Listed(Searcher):
    """Suggests what is on a list, and keeps what it is told."""

    def __init__(self, suggestions):
        super().__init__(metric="median_mm", mode="min")
        self.suggestions, self.told = suggestions, {}

    def suggest(self, trial_id):
        return self.suggestions[int(trial_id)]

    def on_trial_complete(self, trial_id, result=None, error=False):
        self.told[trial_id] = math.inf if error else result["median_mm"]

    def save(self, path): ...

    def restore(self, path): ...


def rates(*values):
    return [{"optimizer.lr_base": value} for value in values]


def test_points_that_are_suggested_twice_in_a_batch_are_run_once_and_all_are_reported(
    scripted, tmp_path
):
    scripted({})
    searcher = Listed(rates(1e-4, 1e-4, 1.0000001e-4, 2e-4))
    wanted = {"composition": ["rotate"], "points": 4, "max_concurrent_trials": 4}
    found = handssl.search(STUDY, searcher, storage=tmp_path, **wanted)
    assert len(made(tmp_path)) == 2
    assert searcher.told["0"] == searcher.told["1"] == searcher.told["2"] != searcher.told["3"]
    assert [point.value_mm for point in found.points] == list(searcher.told.values())
    trained = [record.config["optimizer"]["lr_base"] for p in found.points for record in p.records]
    assert trained == [point.settings["optimizer.lr_base"] for point in found.points]


def test_a_point_that_another_study_has_run_by_another_label_has_the_value_it_gave(
    scripted, tmp_path
):
    scripted({})
    same = {"optimizer.lr_base": 1e-4, "optimizer.weight_decay": 1e-6}
    values = {"name": "other", "blocks": [1001], "cells": [{"composition": ["rotate"]}]}
    other = handssl.Study.parse(STUDY.model_dump() | values)
    [record] = handssl.run(other, storage=tmp_path).records
    before = made(tmp_path)
    searcher = Listed([same])
    found = handssl.search(STUDY, searcher, storage=tmp_path, composition=["rotate"], points=1)
    assert made(tmp_path) == before
    assert found.points[0].records == (record,)
    assert found.best.value_mm == searcher.told["0"] == record.metrics["median_mm"]


def test_a_search_of_an_objective_that_the_composition_does_not_have_is_refused(tmp_path):
    searcher = Listed(rates(1e-4))
    with pytest.raises(InputError, match="objective 'relative' needs one of"):
        handssl.search(
            STUDY, searcher, composition=["blur"], objective="relative", storage=tmp_path
        )


def test_optuna_suggests_the_same_points_again_and_nothing_is_paid_for_twice(scripted, tmp_path):
    space = {
        "optimizer.lr_base": tune.loguniform(3e-5, 3e-3),
        "optimizer.weight_decay": tune.choice([0.0, 1e-6]),
    }

    def searched(points):
        searcher = OptunaSearch(space, metric="median_mm", mode="min", seed=1)
        asked = {"composition": ["rotate"], "points": points, "max_concurrent_trials": 2}
        return handssl.search(STUDY, searcher, storage=tmp_path, **asked).points

    scripted({})
    first = searched(4)
    assert len({point.settings["optimizer.lr_base"] for point in first}) == 4
    assert all(3e-5 <= point.settings["optimizer.lr_base"] <= 3e-3 for point in first)
    assert all(math.isfinite(point.value_mm) for point in first)
    before = made(tmp_path)
    assert searched(4) == first
    assert made(tmp_path) == before
    assert searched(6)[:4] == first


@pytest.mark.parametrize(
    ("searcher", "message"),
    [(object(), "expected a Searcher of ray.tune.search"), (None, "got NoneType")],
)
def test_what_is_no_searcher_is_refused(searcher, message, tmp_path):
    with pytest.raises(InputError, match=message):
        handssl.search(STUDY, searcher, composition=["rotate"], storage=tmp_path)


def test_a_dataset_of_a_user_is_packed_once_and_named_by_its_fingerprint(tmp_path):
    data = handssl.add_dataset(BlobHands(), storage=tmp_path, crop_px=56, workers=1)
    assert data.name == "blobs"
    again = handssl.add_dataset(BlobHands(), storage=tmp_path, crop_px=56, workers=1)
    assert again == data
    study = STUDY.model_copy(update={"data": data})
    folder = (
        resolver.DatasetResolver(study, tmp_path, lambda event: None).open(study.data).fingerprint
    )
    assert folder.startswith(data.fingerprint)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "BlobHands has no name"),
        ({"splits": {"pretrain": np.arange(3)}}, "has no probe, select, test"),
    ],
)
def test_an_object_that_is_no_dataset_says_what_it_lacks(change, message, tmp_path):
    reader = BlobHands()
    for name, value in change.items():
        if value is None:
            reader = type("BlobHands", (), {"splits": reader.splits})()
        else:
            setattr(reader, name, value)
    with pytest.raises(InputError, match=message):
        handssl.add_dataset(reader, storage=tmp_path)


class Tiny(nn.Module):
    """A small network that is not ours."""

    def __init__(self, config):
        super().__init__()
        self.dim = 12
        self.conv = nn.Conv2d(3, 12, 5, stride=4)
        self.norm = nn.GroupNorm(3, 12)

    def forward(self, images):
        return self.norm(self.conv(images)).relu().mean((2, 3))


class Flat(Tiny):
    """Forgets to pool."""

    def forward(self, images):
        return self.conv(images)


def own_config(**changes):
    encoder = {"name": encoder_name(Tiny), "input_px": 32}
    values = {
        "composition": ["rotate"],
        "objective": "relative",
        "epochs": 2,
        "global_batch": 16,
        "encoder": encoder | changes,
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 1},
    }
    return PretrainConfig.parse(values)


def test_an_encoder_of_a_user_is_trained_probed_and_stored(blob_data, tmp_path):
    *_, last = Trial(own_config(), blob_data, tmp_path).epochs()
    assert math.isfinite(last.metrics["test_median_mm"])
    again = Trial(own_config(), blob_data, tmp_path / "again")
    *_, other = again.epochs()
    assert other.metrics["median_mm"] == last.metrics["median_mm"]
    encoder = build_encoder(own_config().encoder)
    assert isinstance(encoder, Tiny)
    assert torch.equal(encoder(torch.zeros(1, 3, 32, 32)) >= 0, torch.ones(1, 12, dtype=bool))


def test_a_function_names_itself_in_a_configuration():
    config = EncoderConfig(name=Tiny)
    assert config.name == "tests.execution.test_api:Tiny"
    assert EncoderConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.module:make", "that can be imported here and on every worker"),
        ("tests.execution.test_api:missing", "has no attribute 'missing'"),
        (
            "tests.execution.test_api:own_config",
            r"expected a torch.nn.Module with an integer `dim`",
        ),
        ("tests.execution.test_api:Flat", r"expected features \(2, 12\) of images"),
    ],
)
def test_an_encoder_that_is_none_is_refused_before_anything_runs(name, message):
    config = EncoderConfig(name=name, input_px=32)
    if name.endswith("own_config"):
        config = EncoderConfig(name="builtins:dict", input_px=32)
    with pytest.raises(InputError, match=message):
        build_encoder(config)


def test_a_name_that_is_none_and_a_function_nobody_can_import_are_refused():
    with pytest.raises(InputError, match=r"resnet18, heatmap or package\.module:factory"):
        EncoderConfig.parse({"name": "resnet50"})
    with pytest.raises(InputError, match="a module that workers can import"):
        encoder_name(lambda config: nn.Identity())


def test_status_of_a_study_and_its_control_are_at_the_top():
    for name in ("status", "pause", "resume", "cancel", "extend", "simulate", "ExecutionOptions"):
        assert callable(getattr(handssl, name))
