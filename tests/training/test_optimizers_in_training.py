"""Every optimizer and schedule in a run: it learns, resumes exactly and tells its trust ratios."""

import math

import pytest

from handssl.data.splits import StudyData
from handssl.errors import DivergedError
from handssl.study.identity import trial_id
from handssl.training import PretrainConfig, Pretraining, Trial

SMALL = {
    "epochs": 3,
    "global_batch": 16,
    "composition": ["rotate"],
    "objective": "relative",
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
}
OPTIMIZERS = {
    "adam_larc": {"name": "adam_larc", "masks": "published"},
    "lars": {"name": "lars", "lr_base": 0.1, "schedule": "wsd"},
    "lamb": {"name": "lamb", "lr_base": 1e-3, "schedule": "wsd", "decay_share": 0.5},
}
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def config(**optimizer):
    return PretrainConfig.parse({**SMALL, "optimizer": {"warmup_epochs": 1.0, **optimizer}})


def deterministic(metrics):
    return {name: value for name, value in metrics.items() if not name.endswith("_s")}


@each_optimizer
def test_a_trial_continues_to_the_same_numbers(blob_data, tmp_path, name):
    arm = config(**OPTIMIZERS[name])
    whole = [deterministic(r.metrics) for r in Trial(arm, blob_data, tmp_path / "whole").epochs()]
    halted = Trial(arm, blob_data, tmp_path / "halted").epochs()
    next(halted)
    del halted
    continued = list(Trial(arm, blob_data, tmp_path / "halted").epochs())
    assert [deterministic(r.metrics) for r in continued] == whole
    assert all(math.isfinite(metrics["train/loss"]) for metrics in whole)


@each_optimizer
def test_trust_ratios_are_among_the_metrics(blob_data, name):
    metrics = Pretraining(config(**OPTIMIZERS[name]), StudyData(blob_data)).train_epoch(1)
    found = {key.removeprefix("train/trust/") for key in metrics if "/trust/" in key}
    assert found == {"min", "median", "max"} | ({"clipped"} if name == "adam_larc" else set())
    least, median, most = (metrics[f"train/trust/{key}"] for key in ("min", "median", "max"))
    assert 0 < least <= median <= most


def test_adam_has_no_trust_ratios(blob_data):
    metrics = Pretraining(config(name="adam"), StudyData(blob_data)).train_epoch(1)
    assert not any("/trust/" in key for key in metrics)


def test_the_schedule_of_a_run_is_the_one_named(blob_data):
    rates = []
    for schedule in ("cosine", "wsd"):
        run = Pretraining(config(schedule=schedule), StudyData(blob_data))
        rates.append([run.train_epoch(epoch)["train/lr"] for epoch in (1, 2)])
    assert rates[0][0] == rates[1][0] == pytest.approx(1e-4 * 4)
    assert rates[0][1] < rates[1][1]


def test_weights_that_are_not_finite_after_an_epoch_end_the_run_by_name(blob_data):
    run = Pretraining(config(), StudyData(blob_data))
    weight, steps = run.encoder.conv1.weight, iter(range(3))
    run.optimizer.register_step_post_hook(
        lambda *_: next(steps, None) is None and weight.data.fill_(math.inf)
    )
    expected = r"weight encoder\.conv1\.weight became inf after epoch 1"
    with pytest.raises(DivergedError, match=expected):
        run.train_epoch(1)


def test_options_that_change_nothing_leave_the_identity_of_a_trial():
    """The literal is the identity of a result on disk: it changes with NUMERICS_VERSION alone."""
    usual = trial_id(PretrainConfig(), "00")
    written = {"masks": "module", "schedule": "cosine", "eps": 1e-8}
    assert trial_id(PretrainConfig.parse({"optimizer": written}), "00") == usual
    assert trial_id(PretrainConfig(accumulation=1, batch_norm="global"), "00") == usual
    assert trial_id(PretrainConfig(accumulation=2), "00") != usual
    assert usual == "f7647748d3c45e38"
    for change in ({"masks": "published"}, {"schedule": "wsd"}, {"name": "lamb"}, {"eps": 1e-3}):
        assert trial_id(PretrainConfig.parse({"optimizer": change}), "00") != usual
