"""What a checkpoint keeps, how damage shows, which checkpoints stay."""

import errno
import fcntl
import logging
import math
import os
import re
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest
import safetensors
import torch

from handssl.errors import DataError, InputError
from handssl.training.checkpoints import CheckpointFolder, RunLock, RunState
from handssl.training.checkpoints.format import DIGEST, LENGTH_BYTES, encode
from handssl.training.checkpoints.reading import DamagedError, read
from handssl.training.checkpoints.writing import remove_orphans, write_whole
from tests.reference import checkpoints as naive

NAN_BITS = torch.tensor([0x7FF8000000000123], dtype=torch.int64).view(torch.float64)
TENSORS = {
    "float64": torch.tensor([0.1, -0.0, math.inf, 5e-324], dtype=torch.float64),
    "nan": NAN_BITS,
    "float32": torch.rand(3, 2, generator=torch.Generator().manual_seed(1)),
    "float16": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "bfloat16": torch.tensor([1.0, 3.140625, -1e30], dtype=torch.bfloat16),
    "int64": torch.tensor([[2**62 + 1], [-(2**63)]]),
    "int32": torch.tensor([-7], dtype=torch.int32),
    "uint8": torch.tensor([0, 255, 7], dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.25, dtype=torch.float64),
    "empty": torch.zeros(0, 4),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
}
PLAIN = {
    "tenth": 0.1,
    "thirds": [1 / 3, 2 / 3, -0.0, math.inf, 5e-324],
    "betas": (0.9, 0.999),
    3: {"deep": [[], {}, (), None, True, 2**70, 'text with " and \u03b8']},
    "3": "another key than 3",
}


def written(state, path):
    encoded = encode(state)
    write_whole(path, encoded.write, size_bytes=encoded.size_bytes)
    assert path.stat().st_size == encoded.size_bytes
    return path


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).tolist()


def run_state(epoch, *, numbers=8, **changes):
    """A state whose every number tells its epoch."""
    values = {
        "epoch": epoch,
        "training": {
            "model": {"encoder.weight": torch.full((numbers,), float(epoch))},
            "optimizer": {"state": {0: {"step": torch.tensor(float(epoch))}}, "groups": [0.1]},
            "schedule": {"last_epoch": epoch},
        },
        "configuration": {"seed": 1},
        "fingerprint": "f" * 32,
        "results": [{"loss": 1 / epoch}],
    }
    return RunState(**{**values, **changes})


def filled(path, epochs=(1, 2, 3), **settings):
    folder = CheckpointFolder(path, **{"keep": 3, **settings})
    return folder, [folder.save(run_state(epoch)) for epoch in epochs]


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_every_tensor_comes_back_with_its_bits_dtype_and_shape(tmp_path):
    back = read(written(TENSORS, tmp_path / "c"))
    assert list(back) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert (back[name].dtype, back[name].shape) == (tensor.dtype, tensor.shape), name
        assert bits(back[name]) == bits(tensor), name


def test_a_naive_reader_finds_the_same_numbers(tmp_path):
    shown = {name: tensor for name, tensor in TENSORS.items() if name != "nan"}
    tensors, values = naive.read(written({"t": shown, **PLAIN}, tmp_path / "c"))
    for name, tensor in shown.items():
        assert tensors[f"t.{name}"] == (tuple(tensor.shape), tensor.flatten().tolist())
    assert values == {"t": {name: f"t.{name}" for name in shown}, **PLAIN}


def test_plain_values_come_back_with_types_order_and_the_last_bit(tmp_path):
    back = read(written(PLAIN, tmp_path / "c"))
    assert repr(back) == repr(PLAIN)
    thirds = back["thirds"]
    assert struct.pack("<5d", *thirds) == struct.pack("<5d", *PLAIN["thirds"])
    assert math.isnan(read(written({"loss": math.nan}, tmp_path / "n"))["loss"])


def test_tensors_of_keys_that_read_alike_stay_apart(tmp_path):
    state = {"a": {"b": torch.tensor(1)}, "a.b": torch.tensor(2), "__metadata__": torch.tensor(3)}
    state |= {1: torch.tensor(4), "1": torch.tensor(5)}
    back = read(written(state, tmp_path / "c"))
    assert [int(t) for t in (back["a"]["b"], *list(back.values())[1:])] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (8, 8, 1, 1), (2, 1, 3, 3)])
def test_a_tensor_with_channels_last_keeps_its_order_in_memory(tmp_path, shape):
    images = torch.empty(shape, memory_format=torch.channels_last).copy_(torch.rand(shape))
    back = read(written({"images": images}, tmp_path / "c"))["images"]
    assert back.stride() == images.stride()
    assert torch.equal(back, images)


def test_a_part_or_a_repetition_of_a_tensor_is_kept_without_the_rest(tmp_path):
    whole = torch.arange(1000.0).reshape(10, 100)
    state = {"part": whole[::2, 3:5], "repeated": whole[:1, :1].expand(4, 5)}
    path = written(state, tmp_path / "c")
    assert path.stat().st_size < 1000
    back = read(path)
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize("dtype", [torch.complex128, torch.float8_e4m3fn])
def test_a_tensor_of_a_type_the_format_has_not_is_named(dtype):
    with pytest.raises(TypeError, match=r"model\.odd: cannot store a tensor of torch"):
        encode({"model": {"odd": torch.zeros(2, dtype=dtype)}})


def test_other_tools_read_the_weights_by_their_names(tmp_path):
    _, (path,) = filled(tmp_path, [4])
    with safetensors.safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("model.encoder.weight"), torch.full((8,), 4.0))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", torch.zeros(2).to_sparse()])
def test_a_value_that_cannot_be_kept_is_named_by_its_path(value):
    with pytest.raises(TypeError, match=r"model\.0\.odd"):
        encode({"model": [{"odd": value}]})


def test_a_key_that_is_neither_text_nor_int_is_refused():
    with pytest.raises(TypeError, match="keys of type str or int"):
        encode({(1, 2): 3})


def test_any_flipped_bit_of_any_byte_is_noticed(tmp_path):
    path = written({"weight": torch.arange(3.0), "epoch": 1}, tmp_path / "c")
    content = path.read_bytes()
    for position in range(len(content)):
        for bit in (1, 32):  # 32 turns a digit of the digest into another letter case
            damaged = bytearray(content)
            damaged[position] ^= bit
            path.write_bytes(damaged)
            with pytest.raises(DamagedError, match="cannot read it"):
                read(path)


def test_any_other_length_is_noticed(tmp_path):
    path = written({"weight": torch.arange(3.0), "epoch": 1}, tmp_path / "c")
    content = path.read_bytes()
    for other in [*(content[:n] for n in range(len(content))), content + b"\0"]:
        path.write_bytes(other)
        with pytest.raises(DamagedError, match="cannot read it"):
            read(path)


def test_a_file_of_a_later_format_is_distinguished_from_damage(tmp_path, monkeypatch):
    monkeypatch.setattr("handssl.training.checkpoints.format.VERSION", 3)
    folder, (path,) = filled(tmp_path, [1])
    monkeypatch.undo()
    with pytest.raises(DataError, match="format 2, found format 3; continue with the version"):
        folder.latest()
    assert path.exists()


def test_a_file_of_the_format_before_is_distinguished_from_damage(tmp_path):
    torch.save({"epoch": 1}, tmp_path / "epoch-00001.ckpt")
    with pytest.raises(DataError, match="found format 1"):
        CheckpointFolder(tmp_path).latest()


def test_a_folder_gives_back_what_was_saved_last(tmp_path):
    state = run_state(3, run_id="0123abcd")
    folder, _ = filled(tmp_path, [1, 2])
    assert folder.save(state).name == "epoch-00003.ckpt"
    back = CheckpointFolder(tmp_path).latest()
    assert repr(back) == repr(state)


def test_a_folder_without_checkpoints_has_no_latest_and_is_not_made(tmp_path):
    assert CheckpointFolder(tmp_path / "new").latest() is None
    assert not (tmp_path / "new").exists()


def test_epochs_beyond_five_digits_are_ordered_by_number(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for epoch in (99999, 100000):
        folder.save(run_state(epoch))
    assert folder.latest().epoch == 100000


REGIONS = {
    "length": 0,
    "start": LENGTH_BYTES + 3,
    "digest": DIGEST.start + 5,
    "header": DIGEST.stop + 20,
    "tensors": -30,
    "end": -1,
}


@pytest.mark.parametrize("region", REGIONS)
def test_a_flipped_newest_checkpoint_is_put_aside_and_the_one_before_continues(tmp_path, region):
    notes = []
    folder, paths = filled(tmp_path, on_note=notes.append)
    flip(paths[-1], REGIONS[region])
    assert repr(folder.latest()) == repr(run_state(2))
    assert (tmp_path / "epoch-00003.ckpt.damaged").exists()
    assert not paths[-1].exists()
    assert len(notes) == 1
    assert "epoch-00003.ckpt.damaged; continuing after epoch 2" in notes[0]
    assert folder.latest().epoch == 2
    assert len(notes) == 1


@pytest.mark.parametrize("left_bytes", [0, 7, 80, 500, -1])
def test_a_truncated_newest_checkpoint_is_put_aside(tmp_path, left_bytes, caplog):
    folder, paths = filled(tmp_path)
    paths[-1].write_bytes(paths[-1].read_bytes()[:left_bytes])
    with caplog.at_level(logging.WARNING, "handssl"):
        assert folder.latest().epoch == 2
    assert "continuing after epoch 2" in caplog.text


def test_damage_of_all_checkpoints_is_refused_now_and_the_next_time(tmp_path):
    folder, paths = filled(tmp_path)
    for path in paths:
        flip(path, -1)
    for _ in range(2):
        with pytest.raises(DataError, match=r"no intact checkpoint is left in .* remove that"):
            folder.latest()
    assert len(list(tmp_path.glob("*.damaged"))) == 3


def test_a_sector_that_cannot_be_read_counts_as_damage(tmp_path, monkeypatch):
    folder, paths = filled(tmp_path)
    real = type(tmp_path).read_bytes

    def read_bytes(path):
        if path == paths[-1]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    monkeypatch.setattr(type(tmp_path), "read_bytes", read_bytes)
    assert folder.latest().epoch == 2


def test_a_checkpoint_that_may_not_be_read_stays_where_it_is(tmp_path):
    path = tmp_path / "epoch-00001.ckpt"
    path.mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        CheckpointFolder(tmp_path).latest()
    assert path.exists()


def test_the_newest_n_are_kept(tmp_path):
    folder, _ = filled(tmp_path, range(1, 6), keep=2)
    assert [path.name for path in folder.files()] == ["epoch-00005.ckpt", "epoch-00004.ckpt"]


def test_older_ones_go_beyond_the_bytes_allowed_and_the_newest_stays(tmp_path):
    folder, (path,) = filled(tmp_path / "one", [1])
    room = 2 * path.stat().st_size + 200
    folder, _ = filled(tmp_path / "two", range(1, 5), keep=9, max_bytes=room)
    assert [path.name for path in folder.files()] == ["epoch-00004.ckpt", "epoch-00003.ckpt"]
    folder, _ = filled(tmp_path / "none", range(1, 5), keep=9, max_bytes=1)
    assert [path.name for path in folder.files()] == ["epoch-00004.ckpt"]


def test_the_one_just_written_stays_though_its_epoch_is_lower(tmp_path):
    folder, _ = filled(tmp_path, [5, 6, 2], keep=2)
    assert [path.name for path in folder.files()] == ["epoch-00006.ckpt", "epoch-00002.ckpt"]


def test_damaged_files_do_not_pile_up(tmp_path):
    folder, _ = filled(tmp_path, [])
    for epoch in range(1, 8):
        (tmp_path / f"epoch-{epoch:05d}.ckpt.damaged").write_bytes(b"x")
    folder.keep = 2
    folder.save(run_state(8))
    left = sorted(path.name for path in tmp_path.glob("*.damaged"))
    assert left == ["epoch-00006.ckpt.damaged", "epoch-00007.ckpt.damaged"]


def test_fewer_than_one_checkpoint_cannot_be_kept(tmp_path):
    with pytest.raises(InputError, match="keep: expected at least 1"):
        CheckpointFolder(tmp_path, keep=0)


def test_a_mirror_gets_every_file_and_its_failure_is_a_note(tmp_path):
    copies, notes = [], []
    filled(tmp_path / "good", [1, 2], mirror=lambda path: copies.append(read(path)["run"]["epoch"]))
    assert copies == [1, 2]

    def broken(path):
        raise ConnectionError("no route")

    folder, _ = filled(tmp_path / "bad", [1, 2], mirror=broken, on_note=notes.append)
    assert folder.latest().epoch == 2
    assert len(notes) == 2
    assert "not copied (ConnectionError: no route)" in notes[0]


def test_only_temporary_files_of_ours_are_collected(tmp_path):
    ours = tmp_path / "epoch-00001.ckpt.tmp-17-0123abcd"
    others = [tmp_path / name for name in ("notes.tmp", "a.tmp-17-notes", "epoch-1.tmp-x-0123abcd")]
    for path in (ours, *others):
        path.write_bytes(b"")
    assert remove_orphans(tmp_path) == [ours]
    assert all(path.exists() for path in others)


def test_the_temporary_file_of_a_living_writer_is_left_alone(tmp_path):
    found = []

    def write(file):
        file.write(b"content")
        found.append((remove_orphans(tmp_path), len(list(tmp_path.glob("*.tmp-*")))))

    write_whole(tmp_path / "c", write, size_bytes=7)
    assert found == [([], 1)]
    assert (tmp_path / "c").read_bytes() == b"content"


def test_a_writer_whose_file_was_collected_before_its_lock_takes_another(tmp_path, monkeypatch):
    real, taken = fcntl.flock, []

    def flock(file, operation):
        if not taken:
            (path,) = tmp_path.glob("*.tmp-*")
            taken.append(path)
            path.unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    write_whole(tmp_path / "c", lambda file: file.write(b"content"), size_bytes=7)
    assert len(taken) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_file_system_without_locks_has_checkpoints_but_no_run_lock(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    folder, _ = filled(tmp_path, [1])
    assert folder.latest().epoch == 1
    with pytest.raises(DataError, match="file system with locks"):
        RunLock(tmp_path)


def test_a_damaged_file_that_cannot_be_renamed_is_passed_over_all_the_same(tmp_path, monkeypatch):
    notes = []
    folder, paths = filled(tmp_path, on_note=notes.append)
    flip(paths[-1], -1)

    def replace(path, target):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(type(tmp_path), "replace", replace)
    assert folder.latest().epoch == 2
    assert "could not be renamed (Read-only file system)" in notes[0]


def test_new_folders_are_flushed_into_their_parents(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr("handssl.training.checkpoints.writing.flush_folder", flushed.append)
    written({"epoch": 1}, tmp_path / "a" / "b" / "c")
    assert flushed == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_the_example_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "checkpoints.md"
    weights, run = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    written({"model": {"encoder": {"conv1": {"weight": torch.ones(1)}}}}, Path("epoch-00012.ckpt"))
    CheckpointFolder(tmp_path / "run" / "checkpoints").save(run_state(1))
    for code in (weights, run):
        exec(compile(code, page.name, "exec"), {})


def test_a_failure_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "c").write_bytes(b"old")

    def write(file):
        file.write(b"new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "c", write, size_bytes=3)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert (tmp_path / "c").read_bytes() == b"old"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot .* choose a folder that can be written"):
        CheckpointFolder(tmp_path / "file" / "deep").save(run_state(1))


def test_a_write_is_flushed_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch):
    order = []
    real_sync, real_replace = os.fsync, type(tmp_path).replace

    def fsync(descriptor):
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(path, target):
        order.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(type(tmp_path), "replace", replace)
    written({"epoch": 1}, tmp_path / "c")
    assert order == ["file", "rename", "folder"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    mounted = (
        shutil.which("mount")
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )
    if not mounted:
        pytest.skip("needs the right to mount a small disk: run the tests as root")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_is_reported_in_bytes_and_costs_no_earlier_checkpoint(small_disk):
    folder = CheckpointFolder(small_disk / "run")
    kept = [folder.save(run_state(epoch, numbers=100_000)) for epoch in (1, 2)]
    before = [path.read_bytes() for path in kept]
    needed = encode(run_state(3, numbers=400_000).to_dict()).size_bytes
    with pytest.raises(DataError, match=f"space for {needed} bytes, the disk is full") as caught:
        folder.save(run_state(3, numbers=400_000))
    free = int(str(caught.value).split("(")[1].split(" ")[0])
    assert 1_000_000 < free < needed  # of after the temporary file was removed
    assert sorted(path.name for path in folder.path.iterdir()) == [path.name for path in kept]
    assert [path.read_bytes() for path in kept] == before
    assert folder.save(run_state(4, numbers=100_000)).exists()  # the run may go on
    assert folder.latest().epoch == 4
