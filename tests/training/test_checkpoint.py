"""Checkpoints survive kills, damage and full disks."""

import contextlib
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from handssl.errors import DataError
from handssl.training import PretrainConfig, Trial
from handssl.training.checkpoint import Checkpoints

CONFIG = PretrainConfig.parse(
    {
        "composition": ["rotate"],
        "objective": "relative",
        "epochs": 4,
        "global_batch": 16,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 1.0},
    }
)
STATE = {
    "half": torch.arange(3.0).to(torch.bfloat16),
    "double": torch.tensor(0.1, dtype=torch.float64),
    "whole": torch.tensor([2**62]),
    "plain": {"number": 0.1, "list": [1, None, "x"], "nan": float("inf")},
}


def numbers(results):
    return [
        {name: value for name, value in result.metrics.items() if not name.endswith("_s")}
        for result in results
    ]


@pytest.fixture(scope="module")
def whole(blob_data, tmp_path_factory):
    return numbers(Trial(CONFIG, blob_data, tmp_path_factory.mktemp("whole")).epochs())


@pytest.fixture
def halted(blob_data, tmp_path):
    """A trial that was dropped after three epochs of four."""
    epochs = Trial(CONFIG, blob_data, tmp_path).epochs()
    for _ in range(3):
        next(epochs)
    return tmp_path


def test_a_state_comes_back_to_the_last_bit(tmp_path):
    Checkpoints(tmp_path).save(STATE, 3)
    found = Checkpoints(tmp_path).latest()
    assert found["plain"] == STATE["plain"]
    for name in ("half", "double", "whole"):
        assert found[name].dtype == STATE[name].dtype
        assert torch.equal(found[name], STATE[name])


def test_the_last_two_are_kept_and_the_newest_is_read(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() is None
    for step in (4, 8, 12):
        checkpoints.save({"step": step}, step)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint-000000008.pt", "checkpoint-000000012.pt"]
    assert checkpoints.latest() == {"step": 12}


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.95, 1.0])
def test_where_a_bit_has_flipped_the_checkpoint_before_is_used(
    blob_data, halted, whole, where, caplog
):
    newest = sorted(halted.glob("checkpoint-*.pt"))[-1]
    content = bytearray(newest.read_bytes())
    content[min(len(content) - 1, int(where * len(content)))] ^= 1
    newest.write_bytes(content)
    assert numbers(Trial(CONFIG, blob_data, halted).epochs()) == whole
    assert "the checkpoint before it is used" in caplog.text
    assert newest.name in caplog.text
    assert newest.with_suffix(".damaged").is_file()


@pytest.mark.parametrize("kept", [0, 1, 1000, -1])
def test_where_a_file_was_cut_the_checkpoint_before_is_used(blob_data, halted, whole, kept):
    newest = sorted(halted.glob("checkpoint-*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:kept])
    assert numbers(Trial(CONFIG, blob_data, halted).epochs()) == whole


def test_where_all_are_damaged_it_says_so_and_the_next_run_begins_anew(blob_data, halted, whole):
    for path in halted.glob("checkpoint-*.pt"):
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="all 2 are damaged"):
        Trial(CONFIG, blob_data, halted)
    assert numbers(Trial(CONFIG, blob_data, halted).epochs()) == whole


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def test_nothing_in_a_checkpoint_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    torch.save({"model": Evil()}, content)
    data = content.getvalue()
    path = tmp_path / "checkpoint-000000001.pt"
    path.write_bytes(data + hashlib.sha256(data).digest())
    with pytest.raises(DataError, match="damaged"):
        Checkpoints(tmp_path).latest()
    assert not (tmp_path / "executed").exists()


# Writes ever larger checkpoints and says so before and after each.
WRITER = """
import sys, torch
from pathlib import Path
from handssl.training.checkpoint import Checkpoints
checkpoints = Checkpoints(Path(sys.argv[1]))
for step in range(1, 10_000):
    print(step, flush=True)
    checkpoints.save({"step": step, "weights": torch.full((2_000_000,), float(step))}, step)
"""


def kill_while_writing(folder, step):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if int(line) == step:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    state = Checkpoints(folder).latest()
    assert state["step"] >= step - 1
    assert torch.equal(state["weights"], torch.full((2_000_000,), float(state["step"])))
    assert not list(folder.glob("*.partial"))


def test_a_kill_while_writing_leaves_the_one_before_and_nothing_else(tmp_path):
    kill_while_writing(tmp_path, 4)


@pytest.mark.slow
def test_twenty_kills_while_writing_leave_the_one_before_and_nothing_else(tmp_path):
    for number in range(20):
        kill_while_writing(tmp_path / str(number), 2 + number % 7)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root: run the tests as root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_told_and_once_there_is_room_it_goes_on(blob_data, small_disk, whole):
    folder = small_disk / "trial"
    epochs = Trial(CONFIG, blob_data, folder).epochs()
    next(epochs)
    with contextlib.suppress(OSError), (small_disk / "other").open("wb") as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(DataError, match=r"expected room for \d+ MB.*goes on from checkpoint-"):
        list(epochs)
    assert not list(folder.glob("*.partial"))
    (small_disk / "other").unlink()
    assert numbers(Trial(CONFIG, blob_data, folder).epochs()) == whole
