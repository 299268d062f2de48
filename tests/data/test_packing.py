"""Packing: on all cores, restartable, and never half a store."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from handssl.data.packing import pack, packed_bytes
from handssl.data.sample import Sample
from handssl.data.shards import SHARD_ROWS, finished_shards
from handssl.data.store import PackedStore
from handssl.data.verify import verify
from handssl.errors import DataError

SETTINGS = {"crop_px": 16, "context": 1.0}


class Numbers:
    """Unlabelled images, each of one grey level; some may be damaged."""

    name, split_rule = "numbers", "none"

    def __init__(self, count, damaged=(), fingerprint="a1"):
        self.count, self.damaged, self.fingerprint = count, set(damaged), fingerprint
        self.splits = {"pretrain": np.arange(count)}
        self.read = []

    def __len__(self):
        return self.count

    def __getitem__(self, position):
        self.read.append(position)
        if position in self.damaged:
            raise DataError(f"image {position}: expected a whole JPEG, found 0 bytes")
        image = np.full((20, 20, 3), 20 + position % 200, dtype=np.uint8)
        return Sample(image, 10 * position, position, f"image {position}")


KILLED = """
import signal
import sys
from pathlib import Path
import threading
from pathlib import Path
import numpy as np
from handssl.data.packing import pack
from handssl.data.sample import Sample

class Numbers:
    name, split_rule, fingerprint = "numbers", "none", "a1"
    splits = {"pretrain": np.arange(1500)}
    def __len__(self):
        return 1500
    def __getitem__(self, position):
        if position == 1300:
            print("two shards are done, the third is half done", flush=True)
            threading.Event().wait(60)
        image = np.full((20, 20, 3), 20 + position % 200, dtype=np.uint8)
        return Sample(image, 10 * position, position, "")

signal.signal(signal.SIGINT, signal.default_int_handler)
pack(Numbers(), Path(sys.argv[1]), crop_px=16, context=1.0, workers=1)
"""


def started(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_a_killed_packing_goes_on_without_doing_a_finished_shard_again(tmp_path):
    folder = tmp_path / "store"
    with started(KILLED, folder) as process:
        assert process.stdout.readline().startswith("two shards")
        process.send_signal(signal.SIGKILL)
    with pytest.raises(DataError, match="expected a packed store"):
        PackedStore(folder)
    reader = Numbers(1500)
    resumed = pack(reader, folder, **SETTINGS)
    assert sorted(reader.read) == list(range(1024, 1500))
    whole = pack(Numbers(1500), tmp_path / "whole", **SETTINGS)
    assert resumed.manifest == whole.manifest
    assert verify(resumed) == []


IN_PROCESSES = """
import signal
import sys
from pathlib import Path
from pathlib import Path
from handssl.data.packing import pack
from tests.data.test_packing import SETTINGS, Numbers

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tell = lambda done, total: print(done, flush=True)
    pack(Numbers(40_000), Path(sys.argv[1]), workers=2, on_progress=tell, **SETTINGS)
"""


@pytest.mark.faults
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_packing_in_processes_that_is_ended_leaves_none_and_goes_on(tmp_path, ending):
    script, folder = tmp_path / "script.py", tmp_path / "store"
    script.write_text(IN_PROCESSES)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert int(process.stdout.readline()) >= 512
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    if ending == signal.SIGINT:
        os.killpg(process.pid, ending)  # as a terminal does
    else:
        process.send_signal(ending)
    with process:
        try:
            assert process.wait(60) != 0
        finally:
            process.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert not folder.exists()
    finished = len(finished_shards(folder.with_name("store.partial")))
    assert finished
    reader = Numbers(40_000)
    store = pack(reader, folder, workers=1, **SETTINGS)
    assert len(reader.read) == 40_000 - finished * SHARD_ROWS
    assert verify(store) == []


def test_processes_pack_what_one_packs(tmp_path):
    prints = {
        pack(Numbers(5000), tmp_path / str(n), workers=n, **SETTINGS).manifest.fingerprint
        for n in (1, 2)
    }
    assert len(prints) == 1


def test_two_processes_do_not_pack_into_one_folder(tmp_path):
    folder = tmp_path / "store"
    with started(KILLED, folder) as process:
        process.stdout.readline()
        try:
            with pytest.raises(DataError, match="another process is packing here"):
                pack(Numbers(1500), folder, **SETTINGS)
        finally:
            process.kill()


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    def interrupt(done, total):
        if done > 1100:
            raise KeyboardInterrupt

    folder = tmp_path / "store"
    reader = Numbers(4000)
    with contextlib.suppress(KeyboardInterrupt):
        pack(reader, folder, workers=1, on_progress=interrupt, **SETTINGS)
        pytest.skip("the packing was faster than its first report")
    assert not folder.exists()
    finished = len(finished_shards(folder.with_name("store.partial")))
    again = Numbers(4000)
    pack(again, folder, **SETTINGS)
    assert len(again.read) == 4000 - finished * SHARD_ROWS


def test_progress_ends_with_all(tmp_path):
    told = []
    pack(Numbers(700), tmp_path / "s", on_progress=lambda *both: told.append(both), **SETTINGS)
    assert told[-1] == (700, 700)
    assert told == sorted(told)


def test_a_store_that_is_there_is_reused_without_reading_a_sample(tmp_path):
    first = pack(Numbers(30), tmp_path / "s", **SETTINGS)
    reader = Numbers(30)
    assert pack(reader, tmp_path / "s", **SETTINGS).manifest == first.manifest
    assert reader.read == []


@pytest.mark.parametrize(
    ("reader", "settings"),
    [
        (Numbers(30, fingerprint="b2"), SETTINGS),
        (Numbers(30), SETTINGS | {"crop_px": 24}),
        (Numbers(30), SETTINGS | {"context": 1.5}),
    ],
)
def test_a_folder_packed_from_something_else_is_refused(tmp_path, reader, settings):
    pack(Numbers(30), tmp_path / "s", **SETTINGS)
    with pytest.raises(DataError, match="packed from other data or with other settings"):
        pack(reader, tmp_path / "s", **settings)


def test_a_packing_begun_with_something_else_is_refused_and_kept(tmp_path):
    with pytest.raises(DataError, match="image 600"):
        pack(Numbers(700, damaged=[600]), tmp_path / "s", workers=1, **SETTINGS)
    with pytest.raises(DataError, match=r"s\.partial: .* remove it or choose another folder"):
        pack(Numbers(700, fingerprint="b2"), tmp_path / "s", **SETTINGS)
    reader = Numbers(700)
    pack(reader, tmp_path / "s", **SETTINGS)
    assert min(reader.read) == 512


def test_a_damaged_sample_ends_the_packing_with_its_message(tmp_path):
    with pytest.raises(DataError, match="image 7: expected a whole JPEG, found 0 bytes"):
        pack(Numbers(30, damaged=[7]), tmp_path / "s", **SETTINGS)
    assert not (tmp_path / "s").exists()


def test_damaged_samples_may_be_left_out_and_are_counted(tmp_path):
    damaged = [3, 4, 511, 700]
    store = pack(Numbers(800, damaged=damaged), tmp_path / "s", max_damaged=4, **SETTINGS)
    assert (store.manifest.damaged, store.manifest.images, store.manifest.rows) == (4, 796, 800)
    split = store.split("pretrain")
    kept = [position for position in range(800) if position not in damaged]
    assert split.label("ids").tolist() == [10 * position for position in kept]
    levels = split.crops(np.arange(796))[:, 0, 8, 8]
    assert levels.tolist() == [20 + position % 200 for position in kept]
    assert (store.folder / "damaged.txt").read_text().splitlines()[2].startswith("image 511:")
    assert verify(store) == []


def test_more_damage_than_allowed_ends_the_packing(tmp_path):
    with pytest.raises(DataError, match="at most 2 damaged samples, found 3; the last one: image"):
        pack(Numbers(30, damaged=[3, 4, 5]), tmp_path / "s", max_damaged=2, **SETTINGS)


def test_damage_found_before_a_kill_still_counts(tmp_path):
    broken = Numbers(700, damaged=[3, 4, 600, 601])
    with pytest.raises(DataError, match="at most 3"):
        pack(broken, tmp_path / "s", max_damaged=3, workers=1, **SETTINGS)
    with pytest.raises(DataError, match="at most 3 damaged samples, found 4"):
        pack(broken, tmp_path / "s", max_damaged=3, workers=1, **SETTINGS)
    assert pack(broken, tmp_path / "s", max_damaged=4, **SETTINGS).manifest.damaged == 4


def test_a_dataset_of_damage_alone_makes_no_store(tmp_path):
    with pytest.raises(DataError, match="expected samples, found none"):
        pack(Numbers(3, damaged=[0, 1, 2]), tmp_path / "s", max_damaged=3, **SETTINGS)
    assert not (tmp_path / "s").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place],
            capture_output=True,
            check=False,
        ).returncode
    )
    if not mounted:
        pytest.skip("needs the right to mount a small disk: run the tests as root")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_disk_that_is_too_small_is_reported_before_anything_is_read(small_disk):
    reader = Numbers(9000)
    with pytest.raises(DataError, match=r"found it full \(0\.0 GB needed, 0\.0 free\)"):
        pack(reader, small_disk / "s", **SETTINGS)
    assert reader.read == []
    assert not (small_disk / "s").exists()


def test_a_disk_that_fills_up_leaves_no_store_and_the_packing_goes_on_later(small_disk):
    class Crowded(Numbers):
        def __getitem__(self, position):
            if position == 600:  # another program takes what is left
                with contextlib.suppress(OSError), (small_disk / "other").open("wb") as file:
                    for _ in range(2000):
                        file.write(bytes(4096))
                        file.flush()
            return super().__getitem__(position)

    with pytest.raises(DataError, match=r"found it full .* kept in s\.partial"):
        pack(Crowded(1500), small_disk / "s", workers=1, **SETTINGS)
    with pytest.raises(DataError, match="expected a packed store"):
        PackedStore(small_disk / "s")
    (small_disk / "other").unlink()
    reader = Numbers(1500)
    store = pack(reader, small_disk / "s", **SETTINGS)
    assert min(reader.read) == 512
    assert verify(store) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        pack(Numbers(3), tmp_path / "file" / "s", **SETTINGS)


def test_the_size_told_before_packing_is_enough_and_not_far_off(tmp_path):
    store = pack(Numbers(2000), tmp_path / "s", crop_px=64, context=1.0)
    size = sum(path.stat().st_size for path in store.folder.rglob("*.*"))
    assert 0.8 * packed_bytes(2000, 64) < size <= packed_bytes(2000, 64)


def flip(path, place):
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
        os.fsync(file.fileno())


def test_verify_finds_a_single_changed_bit_and_names_the_rows(tmp_path):
    store = pack(Numbers(1100), tmp_path / "s", **SETTINGS)
    assert verify(store) == []
    flip(store.folder / "images.npy", 128 + 600 * 16 * 16 * 3 + 5)
    assert len(verify(store)) == 1
    assert "rows 512 to 1023" in verify(store)[0]


@pytest.mark.parametrize("name", ["labels/ids.npy", "labels/outside.npy", "splits/pretrain.npy"])
def test_verify_finds_changed_labels_and_splits(tmp_path, name):
    store = pack(Numbers(40), tmp_path / "s", **SETTINGS)
    flip(store.folder / name, 128 + 9)
    found = verify(PackedStore(store.folder))
    assert len(found) == 1
    assert found[0].startswith(str(store.folder))


def test_verify_tells_how_far_it_is(tmp_path):
    told = []
    store = pack(Numbers(600), tmp_path / "s", **SETTINGS)
    verify(store, on_progress=lambda *both: told.append(both))
    assert told == [(512, 600), (600, 600)]


def test_verify_against_the_source_finds_images_that_changed_since(tmp_path):
    store = pack(Numbers(600), tmp_path / "s", **SETTINGS)
    assert verify(store, source=Numbers(600)) == []

    class Changed(Numbers):
        def __getitem__(self, position):
            sample = super().__getitem__(position)
            if position == 555:
                sample.image[3, 3] = 0
            return sample

    found = verify(store, source=Changed(600))
    assert len(found) == 1 and "image 555" in found[0] and "changed after packing" in found[0]
