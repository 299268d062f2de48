"""The loop and the trial: repeatable, resumable, honest about divergence."""

import gc
import weakref

import pytest
import torch

from handssl.data.study_data import StudyData
from handssl.errors import DataError, DivergedError, InputError
from handssl.models import ResNet18
from handssl.training import PretrainConfig, Pretraining, Trial
from handssl.training.loop import epoch_order

SMALL = {
    "epochs": 3,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
}
ARMS = [
    ("contrastive", ["rotate"]),
    ("contrastive", []),
    ("relative", ["color_jitter", "rotate", "translate", "noise"]),
    ("supervised", []),
    ("supervised", ["rotate", "translate"]),
]


def config(objective="contrastive", composition=("rotate",), **changes):
    values = {**SMALL, "objective": objective, "composition": list(composition), **changes}
    return PretrainConfig.parse(values)


def deterministic(metrics):
    return {name: value for name, value in metrics.items() if name != "train/views_per_s"}


@pytest.mark.parametrize(("objective", "composition"), ARMS)
def test_every_objective_lowers_its_loss(blob_data, objective, composition):
    optimizer = {"warmup_epochs": 1.0, "lr_base": 1e-3}
    arm = config(objective, composition, epochs=8, optimizer=optimizer)
    run = Pretraining(arm, StudyData(blob_data))
    losses = [run.train_epoch(epoch)["train/loss"] for epoch in range(1, 9)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("objective", "composition"), ARMS[:3:2])
def test_a_run_repeats_to_the_last_bit(blob_data, tmp_path, objective, composition):
    results = [
        [
            deterministic(r.metrics)
            for r in Trial(config(objective, composition), blob_data, tmp_path / n).epochs()
        ]
        for n in "ab"
    ]
    assert results[0] == results[1]


def test_a_trial_stopped_after_an_epoch_continues_to_the_same_numbers(blob_data, tmp_path):
    arm = config("relative", ["rotate", "translate"])
    whole = [deterministic(r.metrics) for r in Trial(arm, blob_data, tmp_path / "whole").epochs()]
    halted = Trial(arm, blob_data, tmp_path / "halted").epochs()
    next(halted)
    del halted
    continued = list(Trial(arm, blob_data, tmp_path / "halted").epochs())
    assert [r.epoch for r in continued] == [1, 2, 3]
    assert [deterministic(r.metrics) for r in continued] == whole


def test_a_finished_trial_tells_its_results_again_without_training(blob_data, tmp_path):
    first = [r.metrics for r in Trial(config(), blob_data, tmp_path).epochs()]
    again = [r.metrics for r in Trial(config(), blob_data, tmp_path).epochs()]
    assert again == first  # views per second included: they were read, not measured


def test_a_finished_trial_leaves_its_encoder_as_safetensors(blob_data, tmp_path):
    from safetensors.torch import load_file

    trial = Trial(config(), blob_data, tmp_path)
    list(trial.epochs())
    encoder = ResNet18(8)
    encoder.load_state_dict(load_file(tmp_path / "encoder.safetensors"))
    assert not list(tmp_path.glob("*.partial"))


def test_the_last_epoch_alone_opens_the_test_split(blob_data, tmp_path):
    results = list(Trial(config(), blob_data, tmp_path).epochs())
    assert ["test_median_mm" in r.metrics for r in results] == [False, False, True]


def test_a_checkpoint_of_another_configuration_is_refused(blob_data, tmp_path):
    next(Trial(config(), blob_data, tmp_path).epochs())
    with pytest.raises(DataError, match="of another"):
        Trial(config(seed=2), blob_data, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_named_and_not_executed(blob_data, tmp_path, content):
    next(Trial(config(), blob_data, tmp_path).epochs())
    path = tmp_path / "checkpoints" / "epoch-00001.ckpt"
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises(DataError, match="cannot read it"):
        Trial(config(), blob_data, tmp_path)


def test_a_loss_that_is_not_finite_is_reported_as_diverged_with_its_step(blob_data, monkeypatch):
    run = Pretraining(config(), StudyData(blob_data))
    with torch.no_grad():
        run.encoder.conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(DivergedError, match="epoch 1, step 1"):
        run.train_epoch(1)


def test_a_trial_that_is_dropped_lets_go_of_its_stores_at_once(blob_data, tmp_path):
    trial = Trial(config("relative", ["rotate"]), blob_data, tmp_path)
    epochs = trial.epochs()
    next(epochs)
    store = weakref.ref(trial._pretraining.store)
    gc.disable()  # a reused actor allocates too little for the collector to run in time
    try:
        del trial, epochs
        assert store() is None
    finally:
        gc.enable()


def test_a_batch_larger_than_the_split_is_refused(blob_data):
    with pytest.raises(InputError, match="at least one batch of 128"):
        Pretraining(config(global_batch=128), StudyData(blob_data))


def test_ranges_that_leave_the_stored_crop_are_refused_before_anything_runs(blob_data):
    wide = {"translate": {"x_boxes": {"low": -0.5, "high": 0.5}}}
    with pytest.raises(InputError, match=r"stored crop of 1\.75 box sides"):
        Pretraining(config(composition=["translate"], augmentation=wide), StudyData(blob_data))


def test_arms_of_a_block_share_initial_encoder_and_sample_order(blob_data):
    data = StudyData(blob_data)
    one, other = (
        Pretraining(config(name, ["rotate"]), data) for name in ("contrastive", "relative")
    )
    for a, b in zip(one.encoder.parameters(), other.encoder.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [i.tolist() for i in one._batches(1)] == [i.tolist() for i in other._batches(1)]


def test_an_epoch_visits_every_sample_once_and_a_small_split_again_in_another_order(blob_data):
    store = StudyData(blob_data).store("probe")
    order = epoch_order(store, 2 * len(store), seed=1, epoch=1)
    first, second = order[: len(store)].tolist(), order[len(store) :].tolist()
    assert sorted(first) == sorted(second) == list(range(len(store)))
    assert first != second


def test_the_supervised_arm_makes_as_many_updates_as_the_others(blob_data):
    data = StudyData(blob_data)
    supervised, contrastive = (
        Pretraining(config(name, []), data) for name in ("supervised", "contrastive")
    )
    assert supervised.steps_per_epoch == contrastive.steps_per_epoch == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"composition": ["rotat"]}, "did you mean 'rotate'"),
        ({"objective": "relativ"}, "did you mean 'relative'"),
        ({"objective": "relative", "composition": ["blur", "noise"]}, "no parameters to predict"),
        ({"composition": ["rotate", "rotate"]}, "named twice"),
        ({"epochs": 0}, "epochs: "),
        ({"global_batch": 1}, "global_batch: "),
        ({"temperatur": 0.5}, "did you mean 'temperature'"),
        ({"optimizer": {"warmup_epochs": 3}}, "must be less than epochs"),
        ({"encoder": {"wdth": 8}}, r"encoder\.wdth: unknown key \(got 8\); did you mean 'width'"),
    ],
)
def test_a_mistake_in_a_configuration_is_told_with_its_path(changes, message):
    with pytest.raises(InputError, match=message):
        PretrainConfig.parse({**SMALL, **changes})


def test_all_mistakes_are_told_at_once():
    with pytest.raises(InputError) as caught:
        PretrainConfig.parse({"epochs": -1, "objective": "x", "seeed": 3})
    assert str(caught.value).startswith("3 mistakes in PretrainConfig:")
