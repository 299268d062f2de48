"""Sec. 4.4 from a study file to its table: every encoder is trained once and probed across."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from handssl.data.packing import pack
from handssl.data.preparation import prepare
from handssl.data.splits import StudyData
from handssl.data.store import PackedStore
from handssl.errors import InputError
from handssl.evaluation.cross import grey_images, mean_bone_m
from handssl.evaluation.features import extract_features
from handssl.execution.study_runner import Sweep
from handssl.execution.tune.trainable import trial_results
from handssl.ledger import Ledger
from handssl.models import build_encoder
from handssl.planning.resources import Cluster
from handssl.planning.study_plan import StudyPlan
from handssl.report.of_study import study_report
from handssl.report.sections import sections
from handssl.runtime.interruption import Interruption
from handssl.study.stages import CrossDatasetStage, Selection
from handssl.study.study import Study
from handssl.study.trials import plan_stage, stage_scheduler
from handssl.training.config import PretrainConfig
from tests.conftest import BlobHands
from tests.training.test_trial import SMALL

COUNTS = {"pretrain": 32, "probe": 24, "select": 12, "test": 16}
YAML = """
name: across
data: {name: freihand}
blocks: [1]
halving: null
references: false
stages:
  - {kind: cells, name: chosen, all: [{composition: rotate, objective: relative}]}
  - kind: cross_dataset
    after: chosen
    first: {name: freihand}
    second: {name: interhand}
"""


class HalfGrey(BlobHands):
    """Hands of which every second is seen by a grey camera, and whose bones are longer."""

    def __getitem__(self, position):
        sample = super().__getitem__(position)
        if position % 2:
            grey = sample.image.mean(axis=-1, keepdims=True).astype(np.uint8)
            sample.image[:] = grey
        return sample


class Here(Sweep):
    """A sweep that trains in this process, in the order in which the scheduler allows it."""

    def execute(self, scheduler, recorder, on_event):
        on_event(self.planned(scheduler, Cluster(1, 1, 0.0, owned=True)))
        self.started = getattr(self, "started", [])
        while able := [one for one in scheduler.missing if scheduler.may_train(one)]:
            for trial in able:
                self.train(trial, scheduler, recorder)

    def train(self, trial, scheduler, recorder):
        """Train or measure one trial."""
        self.started.append(trial)
        recorder.start(trial)
        folder = self.store.folder(trial.trial_id)
        for epoch, metrics in trial_results(trial, self.places.located(trial), folder):
            recorder.epoch(trial, epoch, metrics, 0.0, scheduler.entries(trial, epoch, metrics))
            scheduler.reported(trial, epoch, metrics)
        recorder.end(trial, "completed")
        scheduler.ended(trial, "completed")


def run(storage):
    study = Study.parse(STUDY)
    sweep = Here(study, storage, f"sqlite:///{storage}/mlflow.db", Interruption())
    result = sweep.until_interrupted(lambda event: None)
    return sweep, result


def study_values():
    import yaml

    return {**yaml.safe_load(YAML), "pretrain": {**SMALL, "epochs": 2}}


STUDY = study_values()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A storage with both datasets and the finished study."""
    storage = tmp_path_factory.mktemp("across")
    for name, made, counts in (
        ("freihand", BlobHands, COUNTS),
        ("interhand", HalfGrey, COUNTS | {"pretrain": 64}),
    ):
        reader = made(image_px=64 if name == "freihand" else 72, **counts)
        reader.name = name
        pack(reader, storage / "stores" / name, crop_px=56, context=1.75)
    return storage, *run(storage)


def records(storage):
    return {one.cell: one for one in Ledger(storage).all() if one.block == 1}


def test_the_first_run_is_complete(done):
    _, sweep, result = done
    assert not result.interrupted
    assert Counter(one.outcome for one in result.records) == {"completed": len(result.records)}
    assert sweep.selections["cross_dataset"].best.label == "relative rotate"


def test_every_encoder_is_trained_once_and_serves_all_its_probes(done):
    storage, sweep, _ = done
    trained = [one for one in sweep.started if one.kind == "trial" and one.block == 1]
    # The best cell and the supervised reference on FreiHAND are trials of the first stage.
    assert sorted(one.cell for one in trained) == [
        "relative rotate",
        "relative rotate on freihand after freihand + interhand",
        "supervised on freihand",
        "supervised on interhand",
    ]
    probes = [one for one in sweep.started if one.needs and one.block == 1]
    of = Counter(one.needs for one in probes)
    assert set(of) == {one.trial_id for one in trained}
    assert sorted(of.values()) == [2, 2, 2, 2]
    assert len({one.trial_id for one in probes}) == 8
    folders = [
        one for one in probes if (storage / "trials" / one.trial_id / "checkpoints").exists()
    ]
    assert folders == []


def test_arms_have_equal_updates(done):
    storage, *_ = done
    views = {
        cell: one.metrics["train/encoder_views"] / one.metrics["train/views_per_step"]
        for cell, one in records(storage).items()
        if "train/encoder_views" in one.metrics
    }
    assert len(views) == 4
    assert set(views.values()) == {4.0}


def test_a_second_run_does_nothing(done):
    storage, *_ = done
    again, result = run(storage)
    assert not hasattr(again, "started")
    assert len(result.records) == len(done[2].records)


def test_the_table_has_a_section_for_each_direction(done):
    storage, _, result = done
    report = study_report("across", storage, f"sqlite:///{storage}/mlflow.db", result.records)
    found = {one.title: one for one in sections(report.rows)}
    titles = [title for title in found if " to " in title]
    assert titles == [
        "Stage cross_dataset on freihand to interhand, 0 epochs",
        "Stage cross_dataset on interhand to freihand, 0 epochs",
    ]
    rows = {row.label.partition(", ")[0::2] for row in found[titles[0]].rows if row.block == 1}
    assert rows == {
        ("relative rotate on freihand", "linear layer freihand to interhand"),
        (
            "relative rotate on freihand after freihand + interhand",
            "linear layer freihand to interhand",
        ),
        ("supervised on freihand", "linear layer freihand to interhand"),
        ("supervised on freihand", "own layer freihand to interhand"),
    }
    assert all(row.test_median_mm is not None for row in found[titles[0]].rows)


def across(storage, layer="linear", to="interhand"):
    other = "freihand" if to == "interhand" else "interhand"
    label = f"supervised on {other}, {layer} layer {other} to {to}"
    return records(storage)[label]


def test_the_layer_is_fitted_on_one_dataset_and_evaluated_on_the_other(done):
    """Ridge by hand on features of the saved encoder, with the recorded lambda."""
    storage, *_ = done
    record = across(storage)
    config = PretrainConfig.parse(record.config)
    encoder = build_encoder(config.encoder)
    trained = records(storage)["supervised on freihand"]
    encoder.load_state_dict(
        load_file(storage / "trials" / trained.trial_id / "encoder.safetensors")
    )
    first, second = (PackedStore(storage / "stores" / name) for name in ("freihand", "interhand"))
    x = extract_features(encoder, first.split("probe"), view_px=32).double().numpy()
    new = extract_features(encoder, second.split("test"), view_px=32).double().numpy()
    y, _ = columns_of(first.split("probe"))
    mean, scale = x.mean(0), x.std(0)
    a, b = (x - mean) / scale, y - y.mean(0)
    gram = a.T @ a / len(a)
    penalty = 10.0 ** record.metrics["ridge/lambda_exponent"] * np.trace(gram) / len(gram)
    weight = np.linalg.solve(gram + penalty * np.eye(len(gram)), a.T @ b / len(a))
    predicted = (new - mean) / scale @ weight + y.mean(0)
    errors = naive_errors_mm(predicted, second.split("test"))
    assert record.metrics["test_median_mm"] == pytest.approx(np.median(errors), rel=1e-3)
    grey = grey_images(second.split("test"))
    assert grey.sum() == 8
    for name, rows in (("grey", grey), ("colour", ~grey)):
        found = record.metrics[f"test/ridge/root_gtroot_20_{name}_boxpub/median_mm"]
        assert found == pytest.approx(np.median(errors[rows]), rel=1e-3)
    bone = np.linalg.norm(
        np.diff(first.split("probe").label("xyz")[:, [0, 9]], axis=1)[:, 0], axis=-1
    )
    assert mean_bone_m(first.split("probe")) == pytest.approx(bone.mean())
    errors = naive_errors_mm(predicted, second.split("test"), bone_m=1.3 * bone.mean() / 1.3)
    found = record.metrics["test/ridge/root_gtroot_20_srcbone_boxpub/median_mm"]
    assert found == pytest.approx(np.median(errors), rel=1e-3)


def columns_of(split):
    xyz, uv = split.label("xyz"), split.label("uv")
    bone = np.linalg.norm(xyz[:, 9] - xyz[:, 0], axis=-1)
    sides = ((uv + 0.5) / 56 - 0.5) * 1.75
    z = (xyz[..., 2] - xyz[:, :1, 2]) / bone[:, None]
    return np.concatenate((sides.reshape(len(uv), 42), z), axis=1), bone


def naive_errors_mm(columns, split, bone_m=None):
    """Errors (N, 20) relative to the root, at its true depth, with the true or a given bone."""
    xyz, camera = split.label("xyz"), split.label("camera")
    bone = (
        np.linalg.norm(xyz[:, 9] - xyz[:, 0], axis=-1)
        if bone_m is None
        else np.full(len(xyz), bone_m)
    )
    found = np.zeros((len(xyz), 21, 3))
    for hand in range(len(xyz)):
        for joint in range(21):
            u, v = (columns[hand, 2 * joint : 2 * joint + 2] / 1.75 + 0.5) * 56 - 0.5
            z = 0.0 if joint == 0 else columns[hand, 42 + joint]
            depth = xyz[hand, 0, 2] + bone[hand] * z
            found[hand, joint] = depth * np.linalg.solve(camera[hand], [u, v, 1.0])
    both = [one - one[:, :1] for one in (found, xyz)]
    return 1000 * np.linalg.norm(both[0] - both[1], axis=-1)[:, 1:]


def test_the_own_layer_of_a_supervised_model_is_its_end_to_end_prediction(done):
    storage, *_ = done
    record = across(storage, "own")
    folder = storage / "trials" / records(storage)["supervised on freihand"].trial_id
    layer = load_file(folder / "layer.safetensors")
    encoder = build_encoder(PretrainConfig.parse(record.config).encoder)
    encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
    split = PackedStore(storage / "stores" / "interhand").split("test")
    features = extract_features(encoder, split, view_px=32)
    joints = features @ layer["pose.weight"].T + layer["pose.bias"]
    joints = joints.reshape(-1, 21, 3) * layer["spread"] + layer["centre"]
    columns = torch.cat((joints[..., :2].flatten(1), joints[..., 2]), dim=1).double().numpy()
    expected = np.median(naive_errors_mm(columns, split))
    assert record.metrics["test_median_mm"] == pytest.approx(expected, rel=1e-3)
    assert "ridge/lambda_exponent" not in record.metrics


def test_the_layer_of_an_early_version_is_read_from_its_checkpoint(done, tmp_path):
    from handssl.training.downstream import LAYER, measure_probe

    storage, sweep, _ = done
    trial = next(one for one in sweep.started if one.kind == "own_layer" and one.block == 1)
    folder = storage / "trials" / trial.needs
    data = StudyData(prepare(trial.data, storage))
    whole = measure_probe("own_layer", trial.config, folder, data)
    (folder / LAYER).rename(folder / "kept")
    try:
        again = measure_probe("own_layer", trial.config, folder, data)
    finally:
        (folder / "kept").rename(folder / LAYER)
    assert again["test_median_mm"] == pytest.approx(whole["test_median_mm"], rel=1e-6)


def test_a_plan_of_the_finished_study_has_nothing_left(done):
    storage, *_ = done
    plan = StudyPlan(Study.parse(STUDY), storage)
    assert plan.missing_data == []
    assert [epochs for work in plan.work for _, epochs in work.left if epochs] == []
    assert [work.finished for work in plan.work] == [1, 12]


def test_references_are_measured_across_as_well():
    study = Study.parse({**STUDY, "references": True, "blocks": [1, 2]})
    best = study.stages[0].all[0]
    trials = plan_stage(
        study, study.stages[1], {"chosen": Selection(stage="chosen", best=best)}, str
    )
    assert Counter(
        (one.cell, one.kind)
        for one in trials
        if not one.config.composition and not one.needs and one.kind != "trial"
    ) == {
        ("mean pose, freihand to interhand", "mean_pose"): 1,
        ("mean pose, interhand to freihand", "mean_pose"): 1,
        ("random encoder, freihand to interhand", "random_encoder"): 2,
        ("random encoder, interhand to freihand", "random_encoder"): 2,
    }


def test_a_probe_waits_for_its_encoder_and_is_given_up_with_it(tmp_path):
    study = Study.parse(STUDY)
    best = study.stages[0].all[0]
    trials = plan_stage(
        study, study.stages[1], {"chosen": Selection(stage="chosen", best=best)}, str
    )
    scheduler = stage_scheduler(study, "cross_dataset", trials, Ledger(tmp_path))
    assert {one.kind for one in trials if scheduler.may_train(one)} == {"trial"}
    first, second, *_ = (one for one in trials if one.kind == "trial")
    scheduler.ended(first, "failed")
    lost = [one for one in trials if one.needs == first.trial_id]
    assert len(lost) == 2
    assert not set(lost) & set(scheduler.missing)
    scheduler.outcomes[second.trial_id] = "completed"
    able = [one for one in trials if one.needs and scheduler.may_train(one)]
    assert {one.needs for one in able} == {second.trial_id}


def test_the_id_of_a_probe_knows_encoder_both_datasets_and_protocol():
    study = Study.parse({**STUDY, "blocks": [1]})
    best = study.stages[0].all[0]
    before = {"chosen": Selection(stage="chosen", best=best)}
    one, other = (
        {t.cell: t.trial_id for t in plan_stage(study, study.stages[1], before, of) if t.needs}
        for of in (str, lambda data: str(data).replace("interhand", "changed"))
    )
    assert len(set(one.values())) == len(one) == 8
    assert not set(one.values()) & set(other.values())


@pytest.mark.parametrize(
    "values",
    [{}, {"first": {}}, {"first": {}, "second": {"level": "hard"}, "sets": [{"data": {}}]}],
)
def test_a_stage_names_two_datasets_or_sets(values):
    with pytest.raises(InputError, match="expected first and second, or sets"):
        CrossDatasetStage.parse(values)
