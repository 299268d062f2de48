"""Checkpoints on another file system: copied beside the training, kept, and started from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from handssl.errors import DataError, InputError
from handssl.execution.checkpoint_mirror.background_copies import BackgroundCopies
from handssl.execution.checkpoint_mirror.mirror import CheckpointMirror
from handssl.execution.checkpoint_mirror.remote_folder import Target, open_file_system
from handssl.training.checkpoints import CheckpointFolder, RunState

TIMEOUT_S = 30.0


class Flaky(MemoryFileSystem):
    """A file system in memory that is away, stands still or loses bytes on demand."""

    protocol = "flaky"
    store: ClassVar[dict[str, object]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    away = False
    lossy = False
    gate = threading.Event()
    opened = threading.Event()

    def _open(self, path, mode="rb", **options):
        type(self).opened.set()
        assert type(self).gate.wait(TIMEOUT_S)
        if type(self).away:
            raise OSError("no route to host")
        return super()._open(path, mode, **options)

    def ls(self, path, detail=True, **options):
        if type(self).away:
            raise OSError("no route to host")
        return super().ls(path, detail, **options)

    def info(self, path, **options):
        if type(self).away:
            raise OSError("no route to host")
        found = super().info(path, **options)
        return found | ({"size": found["size"] - 1} if type(self).lossy and found["size"] else {})


@pytest.fixture
def flaky() -> Iterator[type[Flaky]]:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    Flaky.store.clear()
    Flaky.away = Flaky.lossy = False
    Flaky.gate.set()
    Flaky.opened.clear()
    yield Flaky
    Flaky.gate.set()


def state(epoch: int) -> RunState:
    return RunState(epoch, {"model": {"w": torch.full((8,), float(epoch))}}, {}, "f", [])


def save(folder: Path, epoch: int, keep: int = 2) -> Path:
    return CheckpointFolder(folder / "checkpoints", keep=keep).save(state(epoch))


def remote(url: str, folder: Path, notes: list[str], keep: int = 2) -> CheckpointMirror:
    return CheckpointMirror(url, folder, keep=keep, max_bytes=None, on_note=notes.append)


def names(url: str, folder: Path) -> list[str]:
    return sorted(file.name for file in Target(url, f"{folder.name}/checkpoints").names())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "trials" / "abcd"
    path.mkdir(parents=True)
    return path


@pytest.fixture(params=["path", "file", "fsspec"])
def url(request: pytest.FixtureRequest, tmp_path: Path, flaky: type[Flaky]) -> str:
    place = tmp_path / "else where"
    return {"path": str(place), "file": place.as_uri(), "fsspec": "flaky://bucket/runs"}[
        request.param
    ]


def test_every_kind_of_target_gets_the_newest_checkpoints_and_the_final_files(url, folder) -> None:
    notes: list[str] = []
    for name in ("encoder.safetensors", "predictions.npz"):
        (folder / name).write_bytes(b"final")
    with BackgroundCopies(remote(url, folder, notes), folder, notes.append) as copies:
        for epoch in (1, 2, 3):
            save(folder, epoch)
            copies.finish(lambda: None)
    assert names(url, folder) == ["epoch-00002.ckpt", "epoch-00003.ckpt"]
    final = sorted(file.name for file in Target(url, folder.name).names())
    assert final == ["encoder.safetensors", "predictions.npz"]
    assert notes == []


def test_a_trial_without_checkpoints_starts_from_the_newest_there(url, folder, tmp_path) -> None:
    notes: list[str] = []
    for epoch in (3, 4):
        with save(folder, epoch).open("rb") as file:
            remote(url, folder, notes).put(file, f"epoch-{epoch:05d}.ckpt")
    other = tmp_path / "new machine" / "abcd"
    assert remote(url, other, notes).fetch() == 4
    found = CheckpointFolder(other / "checkpoints").latest()
    assert found is not None
    assert torch.equal(found.training["model"]["w"], torch.full((8,), 4.0))
    assert [path.name for path in (other / "checkpoints").iterdir()] == ["epoch-00004.ckpt"]
    assert remote(url, other, notes).fetch() == 0  # nothing there is newer
    assert notes == []


def test_a_damaged_one_is_put_aside_there_and_the_one_before_is_taken(
    url, folder, tmp_path
) -> None:
    notes: list[str] = []
    source = remote(url, folder, notes)
    for epoch in (3, 4):
        path = save(folder, epoch)
        if epoch == 4:
            path.write_bytes(path.read_bytes()[:-1] + b"\xff")
        with path.open("rb") as file:
            source.put(file, path.name)
    other = tmp_path / "new machine" / "abcd"
    assert remote(url, other, notes).fetch() == 3
    assert names(url, folder) == ["epoch-00003.ckpt", "epoch-00004.ckpt.damaged"]
    assert [path.name for path in (other / "checkpoints").iterdir()] == ["epoch-00003.ckpt"]
    assert "epoch-00004.ckpt is damaged" in notes[0]


def test_with_damaged_ones_alone_nothing_starts_again_by_itself(folder, tmp_path) -> None:
    place = tmp_path / "there" / "abcd" / "checkpoints"
    place.mkdir(parents=True)
    (place / "epoch-00002.ckpt").write_bytes(b"nothing")
    with pytest.raises(DataError, match="all 1 are damaged"):
        remote(str(tmp_path / "there"), folder, []).fetch()


def test_the_training_does_not_wait_and_what_is_overtaken_is_not_copied(flaky, folder) -> None:
    notes: list[str] = []
    flaky.gate.clear()
    with BackgroundCopies(remote("flaky://bucket", folder, notes), folder, notes.append) as copies:
        save(folder, 1, keep=9)
        copies.offer()
        assert flaky.opened.wait(TIMEOUT_S)  # the first copy stands still
        for epoch in (2, 3, 4):
            save(folder, epoch, keep=9)
            copies.offer()
        flaky.gate.set()
        copies.finish(lambda: None)
    assert names("flaky://bucket", folder) == ["epoch-00001.ckpt", "epoch-00004.ckpt"]


def test_a_target_that_is_away_is_reported_once_and_tried_again(flaky, folder) -> None:
    notes: list[str] = []
    with BackgroundCopies(remote("flaky://bucket", folder, notes), folder, notes.append) as copies:
        flaky.away = True
        for epoch in (1, 2):
            save(folder, epoch)
            copies.finish(lambda: None)
        assert len(notes) == 1
        assert "not copied there" in notes[0]
        assert "no route to host" in notes[0]
        flaky.away = False
        save(folder, 3)
        copies.finish(lambda: None)
    assert notes[1:] == ["flaky://bucket/abcd: checkpoints are copied there again"]
    assert names("flaky://bucket", folder) == ["epoch-00003.ckpt"]


def test_a_copy_that_has_not_arrived_whole_does_not_get_its_name(flaky, folder) -> None:
    notes: list[str] = []
    flaky.lossy = True
    with BackgroundCopies(remote("flaky://bucket", folder, notes), folder, notes.append) as copies:
        save(folder, 1)
        copies.finish(lambda: None)
    assert "bytes, " in notes[0]
    assert names("flaky://bucket", folder) == []


def test_a_target_that_stands_still_is_given_up_after_the_time_given(flaky, folder) -> None:
    notes: list[str] = []
    ticks: list[int] = []
    flaky.gate.clear()
    with BackgroundCopies(remote("flaky://bucket", folder, notes), folder, notes.append) as copies:
        save(folder, 1)
        copies.finish(lambda: ticks.append(1), timeout_s=0.1)
        assert "was not copied in 0.1 s" in notes[0]
        assert ticks == [1]
        flaky.gate.set()
        copies.finish(lambda: None)
    assert names("flaky://bucket", folder) == ["epoch-00001.ckpt"]


def test_what_a_killed_writer_left_there_goes_with_the_next_copy(folder, tmp_path) -> None:
    place = tmp_path / "there" / "abcd" / "checkpoints"
    place.mkdir(parents=True)
    (place / "epoch-00001.ckpt.tmp-0123abcd").write_bytes(b"half")
    (place / "mine.txt").write_bytes(b"not ours")
    with save(folder, 2).open("rb") as file:
        remote(str(tmp_path / "there"), folder, []).put(file, "epoch-00002.ckpt")
    assert sorted(path.name for path in place.iterdir()) == ["epoch-00002.ckpt", "mine.txt"]


def test_a_run_without_checkpoints_does_not_start_while_the_target_is_away(flaky, folder) -> None:
    flaky.away = True
    with pytest.raises(DataError, match=r"cannot \(OSError: no route to host\); try again"):
        remote("flaky://bucket", folder, []).fetch()
    save(folder, 1)
    assert remote("flaky://bucket", folder, []).fetch() == 0


@pytest.mark.parametrize("wrong", ["nowhere://bucket/x", "s3:///"])
def test_a_scheme_that_nobody_knows_is_reported_before_anything_runs(wrong) -> None:
    with pytest.raises(InputError, match=f"--checkpoints {wrong}: expected"):
        open_file_system(wrong)
