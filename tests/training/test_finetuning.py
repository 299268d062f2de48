"""Fine-tuning: shares of labels, rates of layers, frozen encoders, restarts."""

import numpy as np
import pytest
import torch

from handssl.data.label_share import drawn_rows, with_share_of_labels
from handssl.data.splits import StudyData
from handssl.errors import InputError, InterruptedStudyError
from handssl.evaluation.features import extract_features, settle_batch_norm
from handssl.evaluation.probe import evaluate_predictions
from handssl.evaluation.references import random_encoder
from handssl.models import EncoderConfig, build_encoder, initialise
from handssl.models.pretrained import digest_of, tensors_of
from handssl.training import PretrainConfig, Pretraining, Trial
from handssl.training.weights import load_weights
from tests.training.test_trial import SMALL, deterministic


def config(**changes):
    values = {**SMALL, "objective": "supervised", "finetune": {}, "epochs": 2, **changes}
    values["optimizer"] = {**SMALL["optimizer"], **changes.get("optimizer", {})}
    return PretrainConfig.parse(values)


@pytest.fixture(scope="module")
def data(blob_data):
    return StudyData(blob_data)


def test_smaller_shares_of_labels_are_parts_of_larger_ones_and_have_their_sizes(data):
    probe = data.store("probe")
    shares = {share: set(drawn_rows(probe, share, seed=3)) for share in (0.05, 0.1, 0.5, 1.0)}
    assert [len(rows) for rows in shares.values()] == [2, 5, 24, 48]
    assert shares[0.05] < shares[0.1] < shares[0.5] < shares[1.0] == set(range(48))


def test_shares_differ_between_seeds_and_depend_on_nothing_else(data):
    probe = data.store("probe")
    first, second = drawn_rows(probe, 0.25, seed=1), drawn_rows(probe, 0.25, seed=2)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, drawn_rows(probe, 0.25, seed=1))


def test_images_of_one_label_are_drawn_together(data):
    class FourBackgrounds:
        """Twelve hands, each on four backgrounds: 48 images as FreiHAND lists them."""

        def __len__(self):
            return 48

        def label(self, name):
            return np.tile(data.store("probe").label(name)[:12], (4, 1, 1))

    rows = drawn_rows(FourBackgrounds(), 0.25, seed=1)
    hands = sorted({row % 12 for row in rows})
    assert len(hands) == 3
    assert sorted(rows) == sorted(hand + 12 * version for hand in hands for version in range(4))


def test_the_other_splits_and_the_data_themselves_stay_as_they_are(data):
    part = with_share_of_labels(data, 0.25, seed=1)
    rows = drawn_rows(data.store("probe"), 0.25, seed=1)
    assert torch.equal(part.store("probe").ids, data.store("probe").ids[rows])
    crops = data.store("probe").crops(rows)
    assert torch.equal(part.store("probe").crops(np.arange(len(rows))), crops)
    assert len(data.store("probe")) == 48
    assert len(part.store("select")) == len(data.store("select"))
    assert part.fingerprint == data.fingerprint


def test_a_share_that_leaves_no_hand_is_refused_with_one_that_leaves_some(blob_data, tmp_path):
    with pytest.raises(
        InputError, match=r"0\.01 of the 48 images of probe leaves 0.*--labels 0\.2"
    ):
        Trial(config(finetune={"labels": 0.01}), blob_data, tmp_path / "trials" / "a")


def test_every_arm_of_a_block_sees_the_same_labels_and_no_others(data):
    standardised = {
        tuple(
            Pretraining(arm, with_share_of_labels(data, 0.25, seed=arm.seed))
            .objective.centre.flatten()
            .tolist()
        )
        for arm in (config(), config(composition=["rotate"], optimizer={"layer_decay": 0.5}))
    }
    rows = drawn_rows(data.store("probe"), 0.25, seed=1)
    uv = data.store("probe").label("uv")[rows]
    centre = ((uv + 0.5) / 56 - 0.5) * 1.75
    assert len(standardised) == 1
    found = np.array(standardised.pop()).reshape(21, 3)
    assert np.allclose(found[:, :2], centre.mean(axis=0), atol=1e-5)


def test_repetitions_of_an_image_within_an_epoch_have_views_of_their_own(data):
    few = with_share_of_labels(data, 0.05, seed=1)
    run = Pretraining(config(composition=["rotate"], finetune={"labels": 0.05}), few)
    views, _ = run.feed(next(iter(run.batches(epoch=1))), epoch=1)
    angles = views[0].theta["rotate"][:, 1]
    assert len(angles) == 16  # of two images
    assert len(set(angles.tolist())) == 16


def test_without_fine_tuning_repetitions_keep_their_views(data):
    few = with_share_of_labels(data, 0.05, seed=1)
    run = Pretraining(config(composition=["rotate"], finetune=None), few)
    views, _ = run.feed(next(iter(run.batches(epoch=1))), epoch=1)
    assert len(set(views[0].theta["rotate"][:, 1].tolist())) == 2


def test_each_layer_has_the_rate_computed_by_hand(data):
    run = Pretraining(config(optimizer={"layer_decay": 0.5, "lr_base": 0.01}), data)
    named = {parameter: name for name, parameter in run.network.named_parameters()}
    # The peak rate is 0.01 x sqrt(16); head 1, layer4 1/2, layer3 1/4, ...
    expected = {
        "objective.pose": 0.04,
        "encoder.layer4": 0.02,
        "encoder.layer3": 0.01,
        "encoder.layer2": 0.005,
        "encoder.layer1": 0.0025,
        "encoder.conv1": 0.00125,
        "encoder.bn1": 0.00125,
    }
    seen = set()
    for group in run.optimizer.param_groups:
        for parameter in group["params"]:
            layer = ".".join(named[parameter].split(".")[:2])
            assert group["initial_lr"] == pytest.approx(expected[layer])
            is_weight = parameter.ndim > 1
            assert (group["weight_decay"] > 0) == is_weight
            seen.add(named[parameter])
    assert seen == set(named.values())


def test_the_first_update_of_adam_moves_each_layer_by_its_rate(data):
    optimizer = {"name": "adam", "layer_decay": 0.5, "lr_base": 1e-4, "warmup_epochs": 0}
    run = Pretraining(config(optimizer={**optimizer, "weight_decay": 0}), data)
    before = {name: one.detach().clone() for name, one in run.network.named_parameters()}
    run.step(next(iter(run.batches(epoch=1))), epoch=1)
    moved = {
        name: (one.detach() - before[name]).abs() for name, one in run.network.named_parameters()
    }
    # Adam's first update of a weight with a gradient is its rate, up or down.
    rates = {"objective.pose.weight": 4e-4, "encoder.layer4.1.conv2.weight": 2e-4}
    rates |= {"encoder.layer1.0.conv1.weight": 2.5e-5, "encoder.conv1.weight": 1.25e-5}
    for name, rate in rates.items():
        assert float(moved[name].max()) == pytest.approx(rate, rel=0.02), name


def test_rate_0_of_the_encoder_is_a_linear_head_on_frozen_features(blob_data, data, tmp_path):
    """The whole training is repeated with nothing but a linear layer on features."""
    arm = config(optimizer={"name": "adam", "layer_decay": 0, "lr_base": 1e-2, "weight_decay": 0})
    results = list(Trial(arm, blob_data, tmp_path / "trials" / "a").epochs())
    encoder = build_encoder(EncoderConfig(width=8, input_px=32))
    initialise(encoder, seed=1, prefix="encoder")
    settle_batch_norm(encoder, data.store("pretrain"), view_px=32)
    kept = build_encoder(EncoderConfig(width=8, input_px=32))
    load_weights(kept, tmp_path / "trials" / "a" / "encoder.safetensors")
    assert digest_of(tensors_of(kept)) == digest_of(tensors_of(encoder))

    run = Pretraining(arm, data)
    layer, centre, spread = run.objective.pose, run.objective.centre, run.objective.spread
    features = {s: extract_features(encoder, data.store(s), view_px=32) for s in ("probe", "test")}
    probe = data.store("probe")
    uv = torch.from_numpy((probe.label("uv") + 0.5) / 56 - 0.5) * 1.75
    depths = probe.label("xyz")[:, :, 2]
    bone = np.linalg.norm(probe.label("xyz")[:, 9] - probe.label("xyz")[:, 0], axis=1)
    z = torch.from_numpy((depths - depths[:, :1]) / bone[:, None])
    truth = (torch.cat((uv, z[..., None]), dim=-1).float() - centre) / spread
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2 * 4)
    factors = [run.schedule.lr_lambdas[0](step) for step in range(8)]
    losses, step = [], 0
    for epoch in (1, 2):
        for indices in run.batches(epoch):
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 * 4 * factors[step]
            rows = torch.from_numpy(indices) % len(probe)
            error = layer(features["probe"][rows]).reshape(-1, 21, 3) - truth[rows]
            optimizer.zero_grad()
            error.abs().mean().backward()
            optimizer.step()
            losses.append(float(error.detach().abs().mean()))
            step += 1
    assert step == 8
    assert results[-1].metrics["train/loss"] == pytest.approx(np.mean(losses[4:]), rel=1e-4)
    with torch.no_grad():
        pose = layer(features["test"]).reshape(-1, 21, 3) * spread + centre
    columns = torch.cat((pose[..., :2].flatten(1), pose[..., 2]), dim=1)
    expected = evaluate_predictions({"test": columns}, data, prefix="end_to_end")
    found = results[-1].metrics
    assert found["test_median_mm"] == pytest.approx(expected["test_median_mm"], rel=1e-3)


def test_a_frozen_random_encoder_has_the_features_of_the_reference(blob_data, data, tmp_path):
    frozen = config(epochs=1, optimizer={"layer_decay": 0, "warmup_epochs": 0})
    frozen = frozen.merged({"finetune.readout": "probe"})
    metrics = list(Trial(frozen, blob_data, tmp_path / "trials" / "a").epochs())[-1].metrics
    reference = random_encoder(EncoderConfig(width=8, input_px=32), data, seed=1)
    assert metrics["test_median_mm"] == pytest.approx(reference["test_median_mm"], abs=1e-6)


def test_the_readout_decides_what_a_trial_is_measured_by_and_both_are_recorded(blob_data, tmp_path):
    rows = {}
    for readout in ("end_to_end", "probe"):
        arm = config(finetune={"labels": 0.5, "readout": readout})
        folder = tmp_path / "trials" / readout
        rows[readout] = list(Trial(arm, blob_data, folder).epochs())[-1].metrics
    by_head, by_ridge = rows["end_to_end"], rows["probe"]
    own = {"median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm"}
    own |= {"aligned_median_mm", "test_aligned_median_mm"}
    timed = {name for name in by_head if name.endswith("_s")}
    assert {n: v for n, v in by_head.items() if n not in own | timed} == {
        n: v for n, v in by_ridge.items() if n not in own | timed
    }
    for name, metrics in (("end_to_end", by_head), ("ridge", by_ridge)):
        (found,) = {
            v
            for n, v in metrics.items()
            if n.startswith(f"test/{name}/root_gtroot_20") and n.endswith("/median_mm")
        }
        assert metrics["test_median_mm"] == found
    assert by_head["test_median_mm"] != by_ridge["test_median_mm"]


def test_a_fine_tuning_stopped_within_an_epoch_continues_bit_for_bit(blob_data, tmp_path):
    arm = config(composition=["rotate"], finetune={"labels": 0.25}, optimizer={"layer_decay": 0.7})
    whole = list(Trial(arm, blob_data, tmp_path / "trials" / "whole").epochs())
    steps = iter(range(3))
    with pytest.raises(InterruptedStudyError):
        list(
            Trial(arm, blob_data, tmp_path / "trials" / "b").epochs(
                must_stop=lambda: next(steps) == 1
            )
        )
    resumed = list(Trial(arm, blob_data, tmp_path / "trials" / "b").epochs())
    assert [deterministic(r.metrics) for r in resumed] == [deterministic(r.metrics) for r in whole]
    for name in ("encoder.safetensors", "probe.safetensors", "predictions.npz"):
        one, other = (tmp_path / "trials" / n / name for n in ("whole", "b"))
        assert one.read_bytes() == other.read_bytes(), name


def test_two_labelled_hands_are_enough_for_a_trial(blob_data, tmp_path):
    few = config(epochs=1, finetune={"labels": 0.05}, optimizer={"warmup_epochs": 0})
    metrics = list(Trial(few, blob_data, tmp_path / "trials" / "a").epochs())[-1].metrics
    assert metrics["test_median_mm"] > 0
