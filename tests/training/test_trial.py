"""The loop and the trial: repeatable, resumable, honest about divergence."""

import gc
import weakref

import pytest
import torch

from handssl.data.splits import StudyData
from handssl.errors import DataError, DivergedError, InputError, InterruptedStudyError
from handssl.models import ResNet18
from handssl.training import Execution, PretrainConfig, Pretraining, Trial
from handssl.training.sample_order import epoch_order

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
    return {name: value for name, value in metrics.items() if not name.endswith("_s")}


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


@pytest.mark.parametrize("objective", ["contrastive", "relative"])
def test_a_trial_stopped_within_an_epoch_continues_to_the_same_numbers(
    blob_data, tmp_path, objective
):
    arm = config(objective, ["rotate"])
    whole = [deterministic(r.metrics) for r in Trial(arm, blob_data, tmp_path / "whole").epochs()]
    for stops in (3, 2, 1):  # in the first epoch, in the second, and between two steps of it
        halted = Trial(arm, blob_data, tmp_path / "halted")
        steps = iter(range(stops))
        with pytest.raises(InterruptedStudyError, match=r"stopped (in|after) epoch"):
            list(halted.epochs(must_stop=lambda steps=steps: next(steps, None) is None))
    continued = list(Trial(arm, blob_data, tmp_path / "halted").epochs())
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


def test_diagnostics_come_at_the_last_epoch_and_before_it_where_they_are_cheap(
    blob_data, tmp_path, monkeypatch
):
    def diagnosed(folder):
        results = Trial(config(), blob_data, folder).epochs()
        return ["diag/effective_rank/none" in result.metrics for result in results]

    assert diagnosed(tmp_path / "dear") == [False, False, True]
    monkeypatch.setattr("handssl.training.metrics.DIAGNOSED_IMAGES", 1)
    monkeypatch.setattr(
        "handssl.training.trial.measure",
        lambda *a, diagnosed, **k: {"diag/effective_rank/none": 1.0} if diagnosed else {},
    )
    assert diagnosed(tmp_path / "cheap") == [True, True, True]


def test_a_checkpoint_of_another_configuration_is_refused(blob_data, tmp_path):
    next(Trial(config(), blob_data, tmp_path).epochs())
    with pytest.raises(DataError, match="of another"):
        Trial(config(seed=2), blob_data, tmp_path)


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
    assert [i.tolist() for i in one.batches(1)] == [i.tolist() for i in other.batches(1)]


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
def test_a_mistake_in_a_configuration_is_reported_with_its_path(changes, message):
    with pytest.raises(InputError, match=message):
        PretrainConfig.parse({**SMALL, **changes})


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(InputError) as caught:
        PretrainConfig.parse({"epochs": -1, "objective": "x", "seeed": 3})
    assert str(caught.value).startswith("3 mistakes in PretrainConfig:")


def test_a_gradient_that_is_not_finite_is_named_with_its_tensor_and_step(blob_data):
    run = Pretraining(config("relative", ["rotate"]), StudyData(blob_data))
    passes = []

    def spoil(gradient):
        passes.append(1)
        return gradient * (float("inf") if len(passes) == 3 else 1.0)

    run.encoder.conv1.weight.register_hook(spoil)
    expected = r"gradient of encoder\.conv1\.weight became (inf|nan) in epoch 1, step 3"
    with pytest.raises(DivergedError, match=expected):
        run.train_epoch(1)


def test_the_term_whose_loss_is_not_finite_is_named(blob_data):
    run = Pretraining(config("relative", ["color_jitter", "rotate"]), StudyData(blob_data))
    with torch.no_grad():
        next(run.objective.relative.heads["rotate"].parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"loss of rotate became nan in epoch 1, step 1;"):
        run.train_epoch(1)


@pytest.mark.parametrize(("objective", "composition"), ARMS)
def test_deterministic_kernels_are_those_in_use_on_a_cpu_anyway(
    blob_data, objective, composition, monkeypatch
):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    arm, found = config(objective, composition, epochs=2), []
    for execution in (Execution(), Execution(deterministic=True)):
        run = Pretraining(arm, StudyData(blob_data), execution)
        try:
            run.train_epoch(1)
        finally:
            torch.use_deterministic_algorithms(False)
        found.append([weight.clone() for weight in run.network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


WSD = {"schedule": "wsd", "decay_share": 0.5, "warmup_epochs": 1.0}


def test_more_epochs_under_wsd_go_on_before_the_rate_falls_with_the_same_bits(blob_data, tmp_path):
    short, long = (config(epochs=epochs, optimizer=WSD) for epochs in (4, 8))
    list(Trial(short, blob_data, tmp_path / "short").epochs())
    extended = Trial(long, blob_data, tmp_path / "extended", warm_start=tmp_path / "short")
    assert extended.steps_made == 2 * 4
    whole = Trial(long, blob_data, tmp_path / "whole").epochs()
    for one, other in zip(extended.epochs(), whole, strict=True):
        assert deterministic(one.metrics) == deterministic(other.metrics)


def test_a_shorter_run_that_was_stopped_is_gone_on_with_too(blob_data, tmp_path):
    short, long = (config(epochs=epochs, optimizer=WSD) for epochs in (8, 16))
    rows = Trial(short, blob_data, tmp_path / "short").epochs()
    next(rows), next(rows)
    extended = Trial(long, blob_data, tmp_path / "extended", warm_start=tmp_path / "short")
    assert extended.steps_made == 2 * 4


@pytest.mark.parametrize(
    "other",
    [{"optimizer": WSD | {"schedule": "cosine", "decay_share": None}}, {"seed": 5}, {"epochs": 9}],
    ids=["cosine", "another seed", "fewer epochs"],
)
def test_another_run_is_not_gone_on_with(blob_data, tmp_path, other):
    values = {"epochs": 4, "optimizer": WSD}
    list(Trial(config(**values | other), blob_data, tmp_path / "other").epochs())
    long = config(epochs=8, optimizer=WSD)
    begun = Trial(long, blob_data, tmp_path / "long", warm_start=tmp_path / "other")
    assert begun.steps_made == 0
