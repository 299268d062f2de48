"""The objectives inside the loop: draws, steps, identity of degenerate mixtures, mistakes."""

import math

import pytest
import torch

from handssl.data.splits import StudyData
from handssl.errors import InputError
from handssl.study.identity import trial_id
from handssl.training import PretrainConfig, Pretraining, Trial

SMALL = {
    "epochs": 2,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
}
MIXED = {
    "objective": "mixed",
    "mixed": "split",
    "composition": ["blur", "noise", "rotate"],
    "relative_on": ["rotate"],
}
ARMS = {
    "mixed": MIXED,
    "mixed, joint": {**MIXED, "mixed": "joint"},
    "mixed, fixed": {**MIXED, "contrastive_weight": "fixed", "relative": {"weighting": "fixed"}},
    "equivariant": {"objective": "equivariant", "composition": ["rotate", "translate", "noise"]},
    "relative, l2, one order": {
        "objective": "relative",
        "composition": ["rotate", "translate"],
        "relative": {"norm": "l2", "order": "one"},
    },
}


def config(values, **changes):
    return PretrainConfig.parse({**SMALL, **values, **changes})


def deterministic(metrics):
    return {name: value for name, value in metrics.items() if not name.endswith("_s")}


def first_epoch(arm, folder):
    return deterministic(Pretraining(arm, StudyData(folder)).train_epoch(1))


@pytest.mark.parametrize("arm", ARMS)
def test_every_objective_lowers_its_loss(blob_data, arm):
    run = Pretraining(config(ARMS[arm], epochs=8, equal_views=False), StudyData(blob_data))
    losses = [run.train_epoch(epoch)["train/loss"] for epoch in range(1, 9)]
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("arm", ARMS)
def test_an_epoch_repeats_to_the_last_bit(blob_data, arm):
    assert first_epoch(config(ARMS[arm]), blob_data) == first_epoch(config(ARMS[arm]), blob_data)


def test_a_mixed_trial_stopped_after_an_epoch_continues_to_the_same_numbers(blob_data, tmp_path):
    arm = config(MIXED)
    whole = [deterministic(r.metrics) for r in Trial(arm, blob_data, tmp_path / "whole").epochs()]
    halted = Trial(arm, blob_data, tmp_path / "halted").epochs()
    next(halted)
    del halted
    continued = Trial(arm, blob_data, tmp_path / "halted").epochs()
    assert [deterministic(r.metrics) for r in continued] == whole


def views_of(values, folder):
    run = Pretraining(config(values), StudyData(folder))
    return run.feed(next(iter(run.batches(1))), 1)[0]


def test_the_contrastive_pair_shares_one_draw_of_what_is_predicted(blob_data):
    a, b, c, d = (view.theta for view in views_of(MIXED, blob_data))
    assert torch.equal(a["rotate"], b["rotate"])
    assert not torch.equal(c["rotate"], d["rotate"])
    assert not torch.equal(a["rotate"], c["rotate"])
    noises = [theta["noise"] for theta in (a, b, c, d)]
    assert not any(torch.equal(noises[i], noises[j]) for i in range(4) for j in range(i))


def test_mixed_draws_what_the_arms_on_one_objective_draw(blob_data):
    mixed = views_of(MIXED, blob_data)
    relative = views_of({**MIXED, "objective": "relative"}, blob_data)
    contrastive = views_of({**MIXED, "objective": "contrastive"}, blob_data)
    for view in (0, 1):
        assert torch.equal(mixed[view].theta["noise"], contrastive[view].theta["noise"])
        assert torch.equal(mixed[2 + view].theta["rotate"], relative[view].theta["rotate"])


def test_the_joint_pair_draws_everything_independently(blob_data):
    a, b = (view.theta for view in views_of(ARMS["mixed, joint"], blob_data))
    assert not torch.equal(a["rotate"], b["rotate"])
    assert not torch.equal(a["noise"], b["noise"])


@pytest.mark.parametrize(
    ("composition", "relative_on", "becomes"),
    [
        (["noise", "rotate"], [], "contrastive"),
        (["noise"], ["rotate"], "contrastive"),
        ([], [], "contrastive"),
        (["rotate", "translate"], ["translate", "rotate"], "relative"),
        (["rotate"], ["color_jitter", "rotate"], "relative"),
    ],
)
def test_a_mixture_that_is_all_on_one_objective_is_that_objective(
    blob_data, composition, relative_on, becomes
):
    shared = {"composition": composition, "temperature": 0.2}
    mixture = {"mixed": "joint", "contrastive_weight": "fixed", "equal_views": False}
    mixed = config({**shared, **mixture, "objective": "mixed", "relative_on": relative_on})
    pure = config({**shared, "objective": becomes})
    assert mixed.model_dump() == pure.model_dump()
    assert trial_id(mixed, "00") == trial_id(pure, "00")
    assert first_epoch(mixed, blob_data) == first_epoch(pure, blob_data)


def test_what_is_not_in_the_composition_is_left_out_of_r():
    same = config(MIXED, relative_on=["rotate", "translate"])
    assert same.relative_on == ("rotate",)
    assert trial_id(same, "00") == trial_id(config(MIXED), "00")


def test_a_resolved_configuration_is_read_again_as_it_is():
    for arm in ARMS.values():
        resolved = config(arm)
        assert PretrainConfig.parse(resolved.model_dump(mode="json")) == resolved
        assert resolved.merged({"seed": 1}) == resolved


def test_options_that_an_objective_does_not_read_are_canonically_at_default():
    plain = config({"composition": ["rotate"]})
    odd = config(
        {"composition": ["rotate"], "mixed": "joint", "relative_on": ["rotate"]},
        relative={"norm": "l2"},
    )
    assert odd != plain
    assert odd.canonical() == plain
    assert config(MIXED).canonical() == config(MIXED)


def test_an_epoch_of_four_views_makes_half_as_many_steps_and_encodes_as_many(blob_data):
    pair = first_epoch(config({"composition": ["rotate"]}), blob_data)
    four = first_epoch(config(MIXED), blob_data)
    assert (pair["train/views_per_step"], four["train/views_per_step"]) == (32.0, 64.0)
    assert pair["train/encoder_views"] == four["train/encoder_views"] == 128.0
    more = first_epoch(config(MIXED, equal_views=False), blob_data)
    assert more["train/encoder_views"] == 256.0


def test_an_odd_number_of_batches_is_shared_out_over_epochs(blob_data):
    pair, four = (
        Pretraining(config(values, global_batch=20), StudyData(blob_data))
        for values in ({"composition": ["rotate"]}, MIXED)
    )
    assert [len(list(four.batches(epoch))) for epoch in (1, 2, 3, 4)] == [1, 2, 1, 2]
    views = [run.train_epoch(2)["train/encoder_views"] for run in (pair, four)]
    assert views == [240.0, 240.0]


def test_encoder_views_are_counted_over_all_epochs(blob_data):
    run = Pretraining(config(MIXED), StudyData(blob_data))
    assert [run.train_epoch(epoch)["train/encoder_views"] for epoch in (1, 2)] == [128.0, 256.0]


def test_four_views_of_a_split_with_a_single_batch_are_refused_with_the_reason(blob_data):
    with pytest.raises(InputError, match=r"at least 2 batches of 64 .*equal_views"):
        Pretraining(config(MIXED, global_batch=64), StudyData(blob_data))


def test_every_term_and_every_trained_sigma_is_logged(blob_data):
    metrics = first_epoch(config(MIXED), blob_data)
    for name in ("rotate", "contrastive"):
        assert {f"train/loss/{name}", f"train/sigma/{name}"} <= metrics.keys()
    fixed = first_epoch(config(ARMS["mixed, fixed"]), blob_data)
    assert not [name for name in fixed if name.startswith("train/sigma")]


def test_the_empty_composition_trains_on_two_identical_views(blob_data):
    first, second = views_of({"composition": []}, blob_data)
    assert torch.equal(first.images, second.images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "relative", "composition": ["blur"]}, "no parameters to predict"),
        ({"objective": "relative", "composition": []}, "no parameters to predict"),
        ({**MIXED, "relative_on": ["noise"]}, "noise has no parameters to predict"),
        ({**MIXED, "relative_on": ["rotate", "rotate"]}, "named twice"),
        ({**MIXED, "relative_on": ["rotat"]}, "did you mean 'rotate'"),
        ({**MIXED, "mixed": "splitt"}, "did you mean 'split'"),
        ({"objective": "equivariant", "composition": ["blur"]}, "nothing to undo"),
        ({"objective": "equivariant", "composition": []}, "nothing to undo"),
        (
            {**ARMS["equivariant"], "heads": {"projection_out": 7}},
            r"even heads\.projection_out",
        ),
        ({"relative": {"norm": "l3"}}, r"relative\.norm: unknown name 'l3'"),
        ({"relative": {"weights": "fixed"}}, "did you mean 'weighting'"),
    ],
)
def test_a_mistake_is_reported_with_what_was_expected(changes, message):
    with pytest.raises(InputError, match=message):
        config(changes)
