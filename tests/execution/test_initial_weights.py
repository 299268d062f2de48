"""Initial weights from files and runs: identified by content, read from the storage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from handssl.cli.app import invoke
from handssl.data.splits import StudyData
from handssl.errors import DataError, InputError
from handssl.evaluation.references import random_encoder
from handssl.execution.initial_weights import with_initial_weights
from handssl.execution.resume import find_run
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.models import ResNet18
from handssl.models.initial_weights import kept_weights
from handssl.study.identity import trial_id
from handssl.study.study import Study
from handssl.study.trials import plan_study
from handssl.training import PretrainConfig, Pretraining, Trial
from handssl.training.weights import save_weights

SMALL = {
    "epochs": 1,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 0.5},
}
ROTATE = {"composition": ["rotate"]}


def network(seed):
    """An encoder whose weights and statistics are those of no seed of a study."""
    torch.manual_seed(seed)
    encoder = ResNet18(8)
    for one in encoder.state_dict().values():
        if one.is_floating_point():
            one.uniform_(0.1, 0.3)
    return encoder


def write(path, seed=0):
    torch.save(network(seed).state_dict(), path)
    return str(path)


def study(init, **changes):
    values = {"name": "s", "pretrain": {**SMALL, "init": init}, "cells": [ROTATE], **changes}
    return Study.parse(values)


def ids(one):
    return {trial.cell: trial.trial_id for trial in plan_study(one, "data")}


def test_moving_a_file_changes_no_trial_and_a_changed_file_does(tmp_path):
    here = ids(with_initial_weights(study(write(tmp_path / "here.pth")), tmp_path))
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "here.pth").rename(tmp_path / "elsewhere" / "there.pth")
    assert ids(with_initial_weights(study(str(moved)), tmp_path)) == here
    changed = ids(with_initial_weights(study(write(moved, seed=1)), tmp_path))
    random = ids(study("random"))
    for name in ("contrastive rotate", "supervised", "random encoder"):
        assert len({one[name] for one in (here, changed, random)}) == 3, name


def test_a_changed_file_is_refused_by_a_study_that_was_started(tmp_path):
    started = with_initial_weights(study(write(tmp_path / "a.pth")), tmp_path)
    write(tmp_path / "a.pth", seed=1)
    with pytest.raises(InputError, match=r"expected the weights \w{32} in .*a.pth.* restore"):
        with_initial_weights(started, tmp_path)
    (tmp_path / "a.pth").unlink()  # its content is in the storage
    assert with_initial_weights(started, tmp_path) == started


def test_cells_can_compare_initial_weights(tmp_path):
    path = write(tmp_path / "a.pth")
    cells = [ROTATE, {**ROTATE, "settings": {"init": path}}]
    found = with_initial_weights(study("random", cells=cells), tmp_path)
    trials = {trial.cell: trial.config for trial in plan_study(found, "data")}
    assert trials["contrastive rotate"].init.is_random
    assert trials[f"contrastive rotate init={path}"].init.digest
    grid = {"kind": "hyperparameters", "composition": ["rotate"], "points": 2}
    search = grid | {"grid": {"init": ["random", path]}, "objectives": ["contrastive"]}
    searched = with_initial_weights(study("random", cells=[], stages=[search]), tmp_path)
    configs = [t.config for t in plan_study(searched, "data") if t.kind == "trial"]
    assert {config.init.is_random for config in configs if config.objective != "supervised"} == {
        True,
        False,
    }


def test_weights_of_another_width_name_both_shapes(tmp_path):
    wide = {**SMALL, "encoder": {"width": 16, "input_px": 32}, "init": write(tmp_path / "a.pth")}
    with pytest.raises(InputError, match=r"shape \(16, 3, 7, 7\).* found \(8, 3, 7, 7\)"):
        with_initial_weights(study("random", pretrain=wide), tmp_path)


def test_a_missing_file_is_said_before_anything_is_trained(tmp_path):
    with pytest.raises(InputError, match=r"init: expected a file with weights or a run.*no\.pth"):
        with_initial_weights(study("no.pth"), tmp_path)
    with pytest.raises(InputError, match="put a name of digits in quotes"):
        study(3417)


@pytest.fixture
def finished(tmp_path):
    """A finished run in a storage."""
    store = Ledger(tmp_path / "runs")
    store.save(
        TrialRecord(
            trial_id="abcd000000000000",
            study="mine",
            stage="pretrain",
            cell="contrastive rotate",
            composition="rotate",
            objective="contrastive",
            block=1,
            outcome="completed",
            epoch=1,
            epochs=1,
            mlflow_run_id="f" * 32,
        )
    )
    folder = store.folder("abcd000000000000")
    folder.mkdir(parents=True)
    save_weights(network(3), folder / "encoder.safetensors")
    return folder


def test_a_run_is_named_by_id_folder_or_mlflow_run(finished, tmp_path):
    storage = tmp_path / "runs"
    by_file = with_initial_weights(study(write(tmp_path / "same.pth", seed=3)), storage)
    for name in ("abcd", "f" * 32, str(finished)):
        assert ids(with_initial_weights(study(name), storage)) == ids(by_file)
    with pytest.raises(InputError, match=r"init zzzz: expected a trial's id"):
        with_initial_weights(study("zzzz"), storage)
    (finished / "encoder.safetensors").unlink()
    with pytest.raises(DataError, match="expected the encoder of a finished trial, found none"):
        with_initial_weights(study("abcd"), storage)
    assert find_run("abcd", Ledger(storage)).trial_id == "abcd000000000000"


def test_the_encoder_starts_from_the_file_and_the_heads_from_the_seed(tmp_path, blob_data):
    config = PretrainConfig.parse({**SMALL, **ROTATE, "init": write(tmp_path / "a.pth")})
    ours = Pretraining(config, StudyData(blob_data))
    random = Pretraining(PretrainConfig.parse({**SMALL, **ROTATE}), StudyData(blob_data))
    expected = network(0).state_dict()
    for name, one in ours.encoder.state_dict().items():
        assert torch.equal(one, expected[name]), name
    for name, one in ours.objective.state_dict().items():
        assert torch.equal(one, random.objective.state_dict()[name]), name


def test_the_random_encoder_of_a_study_is_the_network_of_its_file(tmp_path, blob_data):
    one = study(write(tmp_path / "a.pth")).pretrain
    data = StudyData(blob_data)
    found = random_encoder(one.encoder, data, seed=1, init=one.init)
    again = random_encoder(one.encoder, data, seed=2, init=one.init)
    random = random_encoder(one.encoder, data, seed=1)
    assert found["median_mm"] == again["median_mm"] != random["median_mm"]


PROGRAM = """
import json, sys
from pathlib import Path
from handssl.training import PretrainConfig, Trial
config, data, folder = sys.argv[1:]
trial = Trial(PretrainConfig.model_validate_json(config), Path(data), Path(folder))
print(json.dumps([result.metrics["median_mm"] for result in trial.epochs()]))
"""


def test_a_process_elsewhere_trains_from_the_storage_without_the_file(tmp_path, blob_data):
    storage = tmp_path / "storage"
    found = with_initial_weights(study(write(tmp_path / "a.pth")), storage)
    (trial,) = (t for t in plan_study(found, "data") if t.cell == "contrastive rotate")
    here = [
        result.metrics["median_mm"]
        for result in Trial(trial.config, blob_data, storage / "trials" / "here").epochs()
    ]
    (tmp_path / "a.pth").unlink()
    words = [trial.config.model_dump_json(), str(blob_data), str(storage / "trials" / "there")]
    (tmp_path / "other").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "other",
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(here)


def test_a_trial_continues_after_its_file_was_moved(tmp_path, blob_data):
    values = {**SMALL, **ROTATE, "epochs": 2}
    found = with_initial_weights(
        study(
            write(tmp_path / "a.pth"),
            pretrain={**values, "composition": [], "init": str(tmp_path / "a.pth")},
        ),
        tmp_path,
    )
    (trial,) = (t for t in plan_study(found, "data") if t.cell == "contrastive rotate")
    folder = tmp_path / "trials" / trial.trial_id
    halted = Trial(trial.config, blob_data, folder).epochs()
    next(halted)
    del halted
    moved = trial.config.merged({"init.weights": "elsewhere.pth"})
    assert trial_id(moved, "data") == trial.trial_id
    assert [result.epoch for result in Trial(moved, blob_data, folder).epochs()] == [1, 2]


def test_weights_damaged_in_the_storage_are_refused(tmp_path, blob_data):
    found = with_initial_weights(study(write(tmp_path / "a.pth")), tmp_path)
    path = kept_weights(tmp_path, found.pretrain.init.digest)
    other = ResNet18(8)
    save_weights(other, path)
    config = PretrainConfig.parse({**found.pretrain.model_dump(), **ROTATE})
    with pytest.raises(
        DataError, match=r"expected the initial weights \w{32}, found .*run the study"
    ):
        Trial(config, blob_data, tmp_path / "trials" / "x")
    with_initial_weights(found, tmp_path)  # writes them again
    Trial(config, blob_data, tmp_path / "trials" / "x")
    path.unlink()
    with pytest.raises(InputError, match=r"found none; run the study again where .*a.pth"):
        Trial(config, blob_data, tmp_path / "trials" / "x")


RUN = """
name: alone
data: {pretrain: 32, probe: 32, select: 16, test: 16, image_px: 64, crop_px: 64}
pretrain:
  composition: [rotate]
  epochs: 1
  global_batch: 16
  encoder: {width: 8, input_px: 32}
  heads: {projection_hidden: 8, projection_out: 8}
  optimizer: {warmup_epochs: 0.5}
"""


def test_the_command_starts_from_a_file_and_from_its_own_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(RUN, encoding="utf-8")
    write("a.pth")

    def pretrained(*words):
        code = invoke(["pretrain", "run.yaml", "--quiet", "--storage", "runs", *words])
        assert code == 0, capsys.readouterr().err
        return {record.trial_id: record for record in Ledger(tmp_path / "runs").all()}

    (first,) = pretrained("--init", "a.pth").values()
    assert first.config["init"]["weights"] == "a.pth"
    assert kept_weights(tmp_path / "runs", first.config["init"]["digest"]).is_file()
    both = pretrained("--init", first.trial_id[:6])
    (second,) = (record for name, record in both.items() if name != first.trial_id)
    assert second.config["init"]["digest"] != first.config["init"]["digest"]
    Path("a.pth").rename("moved.pth")
    assert pretrained("--init", "moved.pth").keys() == both.keys()
    code = invoke(["pretrain", "run.yaml", "--storage", "runs", "--init", "none.pth"])
    assert code == 2
    assert "found no file 'none.pth'" in capsys.readouterr().err
