"""A union of stores: who is drawn, how often, and what a sample looks like."""

import numpy as np
import pytest
import torch

from handssl.data.config import UnionData
from handssl.data.packing import pack
from handssl.data.preparation import prepare
from handssl.data.splits import StudyData, combine_union
from handssl.data.store import PackedStore
from handssl.errors import InputError
from handssl.planning.data import inspect_dataset
from handssl.study.cell import data_name
from handssl.study.study import Study
from handssl.training import PretrainConfig, Pretraining, Trial
from handssl.training.sample_order import epoch_order
from tests.training.test_trial import SMALL, deterministic

BIG = {"pretrain": 96, "probe": 24, "select": 16, "test": 16}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two labelled stores of different sizes with the same ids, and an unlabelled folder."""
    from tests.conftest import BlobHands

    root = tmp_path_factory.mktemp("union")
    for name, counts in {
        "freihand": {"pretrain": 32, "probe": 24, "select": 16, "test": 16},
        "interhand": BIG,
        "folder": {"pretrain": 40},
    }.items():
        reader = BlobHands(image_px=64 if name == "freihand" else 80, **counts)
        reader.name = name
        pack(reader, root / "stores" / name, crop_px=56, context=1.75)
    return root


def union(*weights, labelled="freihand", members=("freihand", "interhand")):
    pretrain = [
        {"data": {"name": name}, "weight": weight}
        for name, weight in zip(members, weights or (1,) * len(members), strict=True)
    ]
    return UnionData.parse({"name": "union", "labelled": {"name": labelled}, "pretrain": pretrain})


def opened(root, *weights, **named):
    return StudyData(prepare(union(*weights, **named), root))


def test_each_store_is_drawn_with_its_share_whatever_its_size(stores):
    for weights, share in (((1, 1), 0.5), ((3, 1), 0.25), ((1, 9), 0.9)):
        split = opened(stores, *weights).store("pretrain")
        order = np.concatenate([epoch_order(split, 400, 7, epoch) for epoch in range(1, 26)])
        found = (order >= 32).mean()
        # Binomial: five standard deviations of 10,000 draws.
        assert abs(found - share) < 5 * np.sqrt(share * (1 - share) / 10_000)


def test_within_a_store_all_are_drawn_equally_often_and_none_twice_before_all(stores):
    split = opened(stores).store("pretrain")
    order = epoch_order(split, 1000, 1, 1)
    first, second = order[order < 32], order[order >= 32]
    for own, size in ((first, 32), (second, 96)):
        counts = np.bincount(own - own.min() if size == 32 else own - 32, minlength=size)
        assert counts.max() - counts.min() <= 1
        assert len(set(own[:size].tolist())) == size


def test_which_store_comes_next_is_independent_from_draw_to_draw(stores):
    split = opened(stores).store("pretrain")
    of = (epoch_order(split, 10_000, 3, 1) >= 32).astype(float)
    assert abs(np.corrcoef(of[:-1], of[1:])[0, 1]) < 5 / 100


def test_the_order_is_a_function_of_seed_and_epoch_alone(stores):
    one, again = opened(stores), opened(stores)
    orders = {
        (seed, epoch): epoch_order(one.store("pretrain"), 64, seed, epoch).tolist()
        for seed in (1, 2)
        for epoch in (1, 2)
    }
    assert epoch_order(again.store("pretrain"), 64, 2, 1).tolist() == orders[2, 1]
    assert len({tuple(order) for order in orders.values()}) == 4


def test_the_first_store_is_drawn_in_the_order_it_has_alone(stores):
    alone = PackedStore(stores / "stores" / "freihand").split("pretrain")
    order = epoch_order(opened(stores).store("pretrain"), 60, 1, 2)
    own = order[order < 32]
    assert own.tolist() == epoch_order(alone, 60, 1, 2)[: len(own)].tolist()


def test_a_sample_is_the_crop_and_label_of_its_store(stores):
    split = opened(stores).store("pretrain")
    parts = [
        PackedStore(stores / "stores" / n).split("pretrain") for n in ("freihand", "interhand")
    ]
    indices = np.array([40, 3, 127, 31, 32])
    found = split.crops(indices, out=split.buffer(8))
    naive = [
        parts[0].crops(np.array([i])) if i < 32 else parts[1].crops(np.array([i - 32]))
        for i in indices
    ]
    assert torch.equal(found, torch.cat(naive))
    uv = np.concatenate([part.label("uv") for part in parts])
    np.testing.assert_array_equal(split.label("uv"), uv)
    np.testing.assert_array_equal(split.on("cpu").crops(indices), found)


def test_equal_ids_of_two_stores_draw_different_transformations(stores):
    split = opened(stores).store("pretrain")
    assert len(set(split.ids.tolist())) == len(split)
    parts = [
        PackedStore(stores / "stores" / n).split("pretrain") for n in ("freihand", "interhand")
    ]
    assert set(parts[0].ids.tolist()) <= set(parts[1].ids.tolist())
    assert torch.equal(split.ids[:32], parts[0].ids)


@pytest.mark.parametrize("objective", ["contrastive", "supervised"])
def test_arms_on_the_union_and_on_one_store_have_equal_updates(stores, objective):
    arm = PretrainConfig.parse({**SMALL, "objective": objective, "composition": ["rotate"]})
    runs = [
        Pretraining(arm, StudyData(stores / "stores" / "freihand")),
        Pretraining(arm, opened(stores)),
        Pretraining(arm, opened(stores, members=("interhand",))),
        Pretraining(arm, opened(stores, members=("folder",))),
    ]
    assert [run.steps_until(3) for run in runs] == [6, 6, 6, 6]
    assert [len(list(run.batches(2))) for run in runs] == [2, 2, 2, 2]


def test_a_restarted_run_on_a_union_ends_with_the_same_bits(stores, tmp_path):
    arm = PretrainConfig.parse({**SMALL, "composition": ["rotate"]})
    folder = prepare(union(), stores)
    whole = [deterministic(r.metrics) for r in Trial(arm, folder, tmp_path / "a").epochs()]
    epochs = Trial(arm, folder, tmp_path / "b").epochs()
    next(epochs)
    again = [deterministic(r.metrics) for r in Trial(arm, folder, tmp_path / "b").epochs()]
    assert again == whole


def test_labels_of_one_store_serve_images_without_labels(stores):
    data = opened(stores, members=("freihand", "folder"))
    assert [len(data.store(split)) for split in ("pretrain", "probe", "test")] == [72, 24, 16]
    assert data.epoch_images == 32


def test_the_fingerprint_knows_members_shares_and_labels_but_no_scale_of_weights(stores):
    prints = [
        opened(stores, 1, 1).fingerprint,
        opened(stores, 1, 3).fingerprint,
        opened(stores, labelled="interhand").fingerprint,
        opened(stores, members=("interhand",)).fingerprint,
        StudyData(stores / "stores" / "freihand").fingerprint,
    ]
    assert len(set(prints)) == 5
    assert opened(stores, 2, 2).fingerprint == prints[0]


def test_a_plan_knows_the_fingerprint_that_the_run_will_have(stores, tmp_path):
    facts = inspect_dataset(union(1, 3), stores)
    assert facts.fingerprint == opened(stores, 1, 3).fingerprint
    assert facts.images == {"pretrain": 32, "probe": 24, "select": 16, "test": 16}
    missing = inspect_dataset(union(), tmp_path)
    assert missing.fingerprint is None
    assert "handssl data pack interhand" in missing.missing


def test_tags_name_every_store_and_its_share(stores):
    tags = opened(stores, 3, 1).tags()
    assert tags["data_pretrain_1"].startswith("interhand ")
    assert tags["data_labelled"].startswith("freihand ")
    assert tags["data_shares"] == "[0.75, 0.25]"


def test_names_of_unions_say_what_is_in_them():
    assert data_name(union()) == "freihand after freihand + interhand"
    assert data_name(union(3, 1)) == "freihand after freihand + interhand (3:1)"


def test_stores_of_other_crops_are_refused(stores, tmp_path, blob_dataset):
    other = pack(blob_dataset(**BIG), tmp_path / "s", crop_px=64, context=1.75).folder
    with pytest.raises(InputError, match="expected stores of the same crops"):
        combine_union(
            tmp_path / "u",
            labelled=stores / "stores" / "freihand",
            pretrain=[other],
            shares=[1.0],
            epoch_images=32,
        )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"labelled": {"name": "freihand"}, "pretrain": []}, "data.pretrain: "),
        (
            {"labelled": {"name": "freihand"}, "pretrain": [{"data": {"name": "x"}, "weight": 0}]},
            "greater than 0",
        ),
        (
            {"labelled": {"name": "freihand"}, "pretrain": [{"data": {"name": "x"}}] * 2},
            "listed twice",
        ),
        (
            {"labelled": {"name": "a", "pretrain": {"name": "folder"}}, "pretrain": [{"data": {}}]},
            "without pretrain",
        ),
        ({"labeled": {}, "pretrain": [{"data": {}}]}, "did you mean 'labelled'?"),
    ],
)
def test_mistakes_in_a_union_are_reported(data, said):
    with pytest.raises(InputError) as caught:
        Study.parse(
            {"name": "x", "cells": [{"composition": "rotate"}], "data": {"name": "union", **data}}
        )
    assert said in str(caught.value)
