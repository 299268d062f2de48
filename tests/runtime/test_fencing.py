"""A trial's folder is written only by the process that has claimed it last."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from handssl.errors import BusyStudyError, DataError, TakenOverError
from handssl.execution.trial_files import RunFile, write_error
from handssl.execution.watchdog import watchdog
from handssl.runtime.fencing import FILE, Fence
from handssl.study.run_config import RunConfig
from handssl.training.branch import keep_constant
from handssl.training.checkpoints import CheckpointFolder, RunState
from handssl.training.weights import save_weights

ROOT = Path(__file__).parents[2]


def claimed(folder: Path, token: str) -> Fence:
    fence = Fence(folder, token)
    assert fence.take()
    return fence


def state(epoch: int) -> RunState:
    training = {"model": {"w": torch.zeros(2)}, "optimizer": {}, "schedule": {}, "partial": None}
    return RunState(epoch, training, {}, "f", [])


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def save_checkpoint(folder: Path, fence: Fence) -> None:
    CheckpointFolder(folder / "checkpoints", keep=1, fence=fence).save(state(3))


def save_encoder(folder: Path, fence: Fence) -> None:
    save_weights(torch.nn.Linear(1, 1), folder / "encoder.safetensors", fence=fence)


def keep(folder: Path, fence: Fence) -> None:
    keep_constant(folder, folder / "checkpoints" / "epoch-00001.ckpt", fence=fence)


def tell_error(folder: Path, fence: Fence) -> None:
    write_error(folder, fence)


def watch(folder: Path, fence: Fence) -> None:
    with watchdog(folder, 60.0, fence):
        raise AssertionError("it was let in")


def save_run(folder: Path, fence: Fence) -> None:
    run = RunConfig.parse({"pretrain": {"composition": ["rotate"], "objective": "relative"}})
    RunFile(run=run).save(folder, fence)


@pytest.mark.parametrize(
    "write", [save_checkpoint, save_encoder, keep, tell_error, watch, save_run]
)
def test_who_has_lost_the_folder_changes_nothing_in_it(tmp_path, write):
    first = claimed(tmp_path, "first")
    save_checkpoint_of_epoch_1(tmp_path, first)
    claimed(tmp_path, "second")
    before = files(tmp_path)
    with pytest.raises(TakenOverError, match="another process has claimed the folder"):
        write(tmp_path, first)
    assert files(tmp_path) == before


def save_checkpoint_of_epoch_1(folder: Path, fence: Fence) -> None:
    CheckpointFolder(folder / "checkpoints", fence=fence).save(state(1))


def test_the_last_claim_writes_and_removes_as_if_it_were_alone(tmp_path):
    save_checkpoint_of_epoch_1(tmp_path, claimed(tmp_path, "first"))
    save_checkpoint(tmp_path, claimed(tmp_path, "second"))
    assert set(files(tmp_path)) == {FILE, "checkpoints/epoch-00003.ckpt"}


def test_a_folder_without_its_claim_is_lost(tmp_path):
    fence = claimed(tmp_path / "trial", "first")
    (tmp_path / "trial" / FILE).unlink()
    assert fence.is_lost()
    with pytest.raises(TakenOverError):
        fence.require()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="expected to write it, cannot"):
        Fence(tmp_path / "file", "first").take()


def test_the_trace_of_one_that_hung_is_not_removed_by_one_that_has_lost_the_folder(tmp_path):
    first = claimed(tmp_path, "first")
    with pytest.raises(TakenOverError), watchdog(tmp_path, 60.0, first):
        claimed(tmp_path, "second")
        (tmp_path / "silence.txt").write_text("of the second")
    assert (tmp_path / "silence.txt").read_text() == "of the second"


def test_a_trace_that_somebody_has_removed_fails_nothing(tmp_path):
    with watchdog(tmp_path, 60.0):
        (tmp_path / "silence.txt").unlink()


def test_checkpoints_that_are_removed_after_they_were_listed_fail_nothing(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path, keep=3)
    paths = [folder.save(state(epoch)) for epoch in (1, 2, 3)]
    paths[0].unlink()
    paths[2].unlink()
    with monkeypatch.context() as patch:
        patch.setattr(folder, "files", lambda: list(reversed(paths)))
        assert folder.latest().epoch == 2
        folder.save(state(4))
    assert [path.name for path in folder.files()] == ["epoch-00004.ckpt", "epoch-00002.ckpt"]


def test_the_error_is_that_of_a_busy_study_with_its_exit_code():
    assert issubclass(TakenOverError, BusyStudyError)
    assert TakenOverError.exit_code == 69


WRITER = """
import sys
from pathlib import Path
from handssl.errors import TakenOverError
from handssl.runtime.fencing import Fence
folder, token = Path(sys.argv[1]), sys.argv[2]
fence = Fence(folder, token)
print("ready", flush=True)
try:
    while True:
        with fence.held(), (folder / "lines").open("a") as file:
            file.write(token + "\\n")
except TakenOverError:
    sys.exit(69)
"""


def writer(folder: Path, token: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), token],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def test_not_one_line_of_an_earlier_claim_follows_a_later_one(tmp_path):
    lines, old, ended = tmp_path / "lines", None, []
    for number in range(4):
        token = f"t{number}"
        deadline = time.monotonic() + 30
        while not Fence(tmp_path, token).take():  # it waits a second for a writer's turn to end
            assert time.monotonic() < deadline
        size = lines.stat().st_size if lines.exists() else 0
        now = writer(tmp_path, token)
        while lines.stat().st_size < size + 100 if lines.exists() else True:
            assert time.monotonic() < deadline + 30
            time.sleep(0.01)
        with lines.open() as file:
            file.seek(size)
            assert set(file.read().split()) == {token}
        ended += [old] if old else []
        old = now
    assert [process.wait(30) for process in ended] == [69] * 3
    old.kill()
    old.wait()


INSIDE = """
import sys
from pathlib import Path
from handssl.runtime.fencing import Fence
with Fence(Path(sys.argv[1]), "first").held():
    print("inside", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_not_claimed_while_a_suspended_writer_is_in_the_middle_of_a_write(tmp_path):
    first, second = claimed(tmp_path, "first"), Fence(tmp_path, "second")
    process = subprocess.Popen(
        [sys.executable, "-c", INSIDE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "inside\n"
    psutil.Process(process.pid).suspend()
    assert not second.take()
    assert not first.is_lost()
    psutil.Process(process.pid).resume()
    process.communicate(timeout=30)
    assert second.take()
    assert first.is_lost()


def test_a_claim_that_was_overtaken_before_it_had_the_lock_leaves_no_token(tmp_path):
    last = claimed(tmp_path, "last")
    assert not Fence(tmp_path, "late").take(lambda: False)
    assert not last.is_lost()


def test_without_locks_the_claim_is_compared_before_a_write_and_after_it(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    first = claimed(tmp_path, "first")
    first.require()
    with pytest.raises(TakenOverError), first.held():
        claimed(tmp_path, "second")
    with pytest.raises(TakenOverError), first.held():
        raise AssertionError("it was let in")
