"""Trials on folders with damaged, old and left-over files."""

import logging

import pytest
import torch
from safetensors.torch import load_file

from handssl.data.splits import StudyData
from handssl.errors import DataError
from handssl.training import PretrainConfig, Pretraining, Trial
from handssl.training.checkpoints import CheckpointFolder, RunState
from handssl.training.checkpoints.format import encode
from handssl.training.checkpoints.tree import flatten

CONFIG = PretrainConfig.parse(
    {
        "epochs": 3,
        "global_batch": 16,
        "objective": "relative",
        "composition": ["rotate", "translate"],
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
        "optimizer": {"warmup_epochs": 1.0},
    }
)


def numbers(results):
    """Metrics as hexadecimal, so that equal means equal to the last bit."""
    return [
        {name: value.hex() for name, value in result.metrics.items() if not name.endswith("_s")}
        for result in results
    ]


def stopped(data, folder, epochs):
    """The folder of a trial that ended after some epochs."""
    results = Trial(CONFIG, data, folder).epochs()
    for _ in range(epochs):
        next(results)
    return folder / "checkpoints"


@pytest.fixture(scope="module")
def whole(blob_data, tmp_path_factory):
    """A trial that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return numbers(Trial(CONFIG, blob_data, folder).epochs()), folder


def test_a_trial_whose_newest_checkpoint_is_cut_short_ends_with_the_same_bits(
    blob_data, tmp_path, whole, caplog
):
    checkpoints = stopped(blob_data, tmp_path, 2)
    newest = checkpoints / "epoch-00002.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    with caplog.at_level(logging.WARNING, "handssl"):
        continued = numbers(Trial(CONFIG, blob_data, tmp_path).epochs())
    assert continued == whole[0]
    assert "epoch-00002.ckpt.damaged; continuing after epoch 1" in caplog.text
    ours, theirs = (load_file(folder / "encoder.safetensors") for folder in (tmp_path, whole[1]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_state_after_continuing_has_the_bits_of_the_uninterrupted_one(
    blob_data, tmp_path, whole
):
    stopped(blob_data, tmp_path, 1)
    list(Trial(CONFIG, blob_data, tmp_path).epochs())
    ours, theirs = (
        flatten(CheckpointFolder(folder / "checkpoints").latest().training)
        for folder in (tmp_path, whole[1])
    )
    assert ours[0] == theirs[0]  # names, floats and ints of optimizer and schedule
    for name, tensor in theirs[1].items():
        assert torch.equal(ours[1][name], tensor), name


def test_a_training_state_comes_back_with_every_bit_type_and_stride(blob_data, tmp_path):
    run = Pretraining(CONFIG, StudyData(blob_data))
    run.train_epoch(1)
    state = run.state()
    CheckpointFolder(tmp_path).save(RunState(1, state, {}, "f", []))
    back = CheckpointFolder(tmp_path).latest().training
    (text, tensors), (same_text, same) = flatten(state), flatten(back)
    assert same_text == text
    for name, tensor in tensors.items():
        assert torch.equal(same[name], tensor), name
        assert (same[name].dtype, same[name].stride()) == (tensor.dtype, tensor.stride()), name


def test_a_trial_keeps_two_checkpoints_and_they_hold_no_more_than_the_state(whole, blob_data):
    folder = CheckpointFolder(whole[1] / "checkpoints")
    assert [path.name for path in folder.files()] == ["epoch-00003.ckpt", "epoch-00002.ckpt"]
    state = folder.latest()
    assert (state.epoch, len(state.results), state.run_id) == (3, 3, None)
    assert state.configuration == CONFIG.model_dump(mode="json")
    assert state.fingerprint == StudyData(blob_data).fingerprint
    assert folder.files()[0].stat().st_size == encode(state.to_dict()).size_bytes


def test_a_trial_of_an_older_version_is_named_and_left_alone(blob_data, tmp_path):
    old = tmp_path / "checkpoint.pt"
    torch.save({"results": []}, old)
    with pytest.raises(DataError, match=r"checkpoint\.pt: .* format 2, found format 1"):
        Trial(CONFIG, blob_data, tmp_path)
    assert old.exists()


def test_what_a_killed_trial_was_writing_is_collected_when_it_is_opened(blob_data, tmp_path):
    checkpoints = stopped(blob_data, tmp_path, 1)
    orphans = [
        checkpoints / "epoch-00002.ckpt.tmp-4194305-0123abcd",
        tmp_path / "encoder.safetensors.tmp-4194305-0123abcd",
    ]
    for orphan in orphans:
        orphan.write_bytes(b"half")
    Trial(CONFIG, blob_data, tmp_path)
    assert not any(orphan.exists() for orphan in orphans)
