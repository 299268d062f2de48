"""What is packed is what the files are now: damaged, repaired, replaced, arrived, removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from handssl.cli.app import invoke
from handssl.data.manifest import Manifest
from handssl.data.packing import pack
from handssl.data.shards import SHARD_ROWS
from handssl.data.store import PackedStore
from handssl.data.verify import verify
from handssl.errors import DataError
from tests.data.test_packing import SETTINGS, Numbers

LONG_AGO = 1_600_000_000


def jpeg(path, level):
    """Write a small JPEG that is not new, so that its state is relied on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((24, 24, 3), level, dtype=np.uint8)
    image[:12] = np.random.default_rng(level).integers(0, 255, (12, 24, 3))
    path.write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture
def root(tmp_path):
    """Three shards of images; a fourth would begin at 1,536."""
    folder = tmp_path / "images"
    for number in range(1_100):
        jpeg(folder / f"{number:04d}.jpg", 30 + number % 200)
    return folder


@pytest.fixture
def few(tmp_path):
    folder = tmp_path / "few"
    for number in range(12):
        jpeg(folder / f"{number:04d}.jpg", 30 + number)
    return folder


@pytest.fixture
def run(capfd):
    def call(*words):
        code = invoke([str(word) for word in ("data", *words)])
        return code, *capfd.readouterr()

    return call


def packing(root, store, *words, name="folder"):
    own = ("--out", store, "--crop-px", 16, "--context", 1, "--quiet", "--json", "--workers", 1)
    return ("pack", name, "--root", root, *own, *words)


def cut(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return whole


def test_a_command_that_refused_a_damaged_image_takes_it_once_it_is_repaired(few, tmp_path):
    """In processes of their own, as people run it."""
    words = [str(word) for word in packing(few, tmp_path / "s")]
    command = [sys.executable, "-m", "handssl.cli", "data", *words]
    whole = cut(few / "0005.jpg")
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, "0005.jpg: expected a whole JPEG" in refused.stderr) == (3, True)
    (few / "0005.jpg").write_bytes(whole)
    taken = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (taken.returncode, json.loads(taken.stdout)["images"]) == (0, 12)


def test_an_image_that_was_left_out_is_packed_once_it_is_repaired(run, few, tmp_path):
    whole = cut(few / "0005.jpg")
    words = packing(few, tmp_path / "s", "--max-damaged", 1)
    code, out, _ = run(*words)
    assert (code, json.loads(out)["images"], json.loads(out)["damaged"]) == (0, 11, 1)
    (few / "0005.jpg").write_bytes(whole)
    code, _, err = run("verify", tmp_path / "s", "--root", few, "-q")
    assert (code, "0005.jpg" in err, "is intact now" in err) == (3, True, True)
    code, out, err = run(*words)
    assert (code, json.loads(out)["images"], json.loads(out)["damaged"]) == (0, 12, 0)
    assert "its sources have changed, so it was packed again" in err
    assert run("verify", tmp_path / "s", "--root", few, "-q")[0] == 0


def test_no_damage_allowed_holds_for_a_store_that_is_there(run, few, tmp_path):
    cut(few / "0005.jpg")
    assert run(*packing(few, tmp_path / "s", "--max-damaged", 1))[0] == 0
    code, out, err = run(*packing(few, tmp_path / "s"))
    assert (code, out) == (3, "")
    assert "expected at most 0 damaged samples, found 1" in err
    assert "0005.jpg: expected a whole JPEG" in err
    cut(few / "0007.jpg")
    code, _, err = run(*packing(few, tmp_path / "s", "--max-damaged", 1))
    assert (code, "at most 1 damaged samples, found 2" in err) == (3, True)
    assert "the store is not changed until" in err
    assert PackedStore(tmp_path / "s").manifest.damaged == 1


def test_what_is_no_longer_damaged_is_not_named(run, few, tmp_path):
    whole = cut(few / "0003.jpg")
    cut(few / "0005.jpg")
    assert run(*packing(few, tmp_path / "s", "--max-damaged", 2))[0] == 0
    (few / "0003.jpg").write_bytes(whole)
    code, _, err = run(*packing(few, tmp_path / "s"))
    assert (code, "0003" in err, "0005.jpg" in err) == (3, False, True)


def changed_state(path):
    """Same content, size and time of change, but another file."""
    copy = path.with_suffix(".copy")
    shutil.copy2(path, copy)
    copy.replace(path)


@pytest.mark.parametrize("keeps_time", [False, True])
def test_an_image_that_was_replaced_is_packed_again_and_the_other_shards_are_kept(
    run, root, tmp_path, keeps_time, monkeypatch
):
    assert run(*packing(root, tmp_path / "s"))[0] == 0
    before = PackedStore(tmp_path / "s").manifest
    jpeg(root / "0600.jpg", 255)
    if not keeps_time:
        os.utime(root / "0600.jpg")
    changed_state(root / "0001.jpg")
    read = noted(monkeypatch)
    code, out, _ = run(*packing(root, tmp_path / "s"))
    assert code == 0
    assert {path.name for path in read} == {f"{number:04d}.jpg" for number in range(512, 1024)}
    after = PackedStore(tmp_path / "s").manifest
    assert [a == b for a, b in zip(after.shards, before.shards, strict=True)] == [True, False, True]
    assert json.loads(out)["fingerprint"] == after.fingerprint != before.fingerprint
    assert run("verify", tmp_path / "s", "--root", root, "-q")[0] == 0
    assert run(*packing(root, tmp_path / "fresh"))[0] == 0
    assert PackedStore(tmp_path / "fresh").manifest == after


def noted(monkeypatch):
    """Return the images that are decoded from now on."""
    from handssl.data.readers import folder

    read, read_image = [], folder.read_image

    def note(path, *words):
        read.append(path)
        return read_image(path, *words)

    monkeypatch.setattr(folder, "read_image", note)
    return read


def test_a_dataset_that_was_copied_is_compared_by_content_once(run, root, tmp_path, monkeypatch):
    assert run(*packing(root, tmp_path / "s"))[0] == 0
    before = (tmp_path / "s" / "manifest.json").stat().st_ino
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    shutil.rmtree(root)
    moved.rename(root)
    read = noted(monkeypatch)
    for _ in range(2):
        assert run(*packing(root, tmp_path / "s"))[0] == 0
    assert read == []
    assert (tmp_path / "s" / "manifest.json").stat().st_ino == before


@pytest.mark.parametrize("arrives", ["missing", "cut"])
def test_half_a_download_is_packed_and_finished_later(run, freihand, tmp_path, arrives):
    images = sorted((freihand / "training" / "rgb").glob("*.jpg"))
    late = {path: path.read_bytes() for path in images[len(images) // 2 : -1]}
    for path in late:
        cut(path) if arrives == "cut" else path.unlink()
    words = packing(freihand, tmp_path / "s", name="freihand")
    code, _, err = run(*words)
    assert (code, "expected" in err) == (3, True)
    assert run(*words, "--max-damaged", len(late))[0] == 0
    code, _, err = run(*words, "--max-damaged", len(late) - 1)
    assert (code, f"found {len(late)}" in err) == (3, True)
    for path, content in late.items():
        path.write_bytes(content)
    code, out, _ = run(*words)
    assert (code, json.loads(out)["damaged"]) == (0, 0)
    assert run("verify", tmp_path / "s", "--root", freihand, "-q")[0] == 0


@pytest.fixture
def freihand(tmp_path):
    """Procedural hands in the official layout, without what says that they are."""
    folder = tmp_path / "freihand"
    sizes = ("pretrain=8", "probe=5", "select=3", "test=3", "image_px=64")
    words = [word for size in sizes for word in ("--set", size)]
    assert invoke(["data", "write", "freihand", "--root", str(folder), "-q", *words]) == 0
    return folder


def test_an_image_that_is_gone_is_damage_and_the_store_stays(run, few, tmp_path):
    assert run(*packing(few, tmp_path / "s"))[0] == 0
    content = (few / "0005.jpg").read_bytes()
    (few / "0005.jpg").write_bytes(b"")
    code, _, err = run("verify", tmp_path / "s", "--root", few, "-q")
    assert (code, "0005.jpg" in err, "intact when it was packed" in err) == (3, True, True)
    code, _, err = run(*packing(few, tmp_path / "s"))
    assert (code, "0005.jpg: expected a whole JPEG" in err) == (3, True)
    assert "the store is not changed until" in err
    assert verify(PackedStore(tmp_path / "s")) == []
    assert (tmp_path / "s.partial").exists()
    (few / "0005.jpg").write_bytes(content)
    assert run(*packing(few, tmp_path / "s"))[0] == 0
    assert not (tmp_path / "s.partial").exists()


def test_files_that_were_added_or_removed_are_reported_by_verify(run, few, tmp_path):
    assert run(*packing(few, tmp_path / "s"))[0] == 0
    jpeg(few / "0100.jpg", 90)
    code, _, err = run("verify", tmp_path / "s", "--root", few, "-q")
    assert (code, "of 12 samples, found one of 13" in err) == (3, True)
    (few / "0100.jpg").unlink()
    assert run("verify", tmp_path / "s", "--root", few, "-q")[0] == 0
    (few / "0000.jpg").unlink()
    code, _, err = run("verify", tmp_path / "s", "--root", few, "-q")
    assert (code, "of 12 samples, found one of 11" in err) == (3, True)


def test_an_interrupted_packing_keeps_finished_shards_but_not_changed_ones(
    run, root, tmp_path, monkeypatch
):
    whole = cut(root / "1050.jpg")
    assert run(*packing(root, tmp_path / "s"))[0] == 3  # two shards are finished
    (root / "1050.jpg").write_bytes(whole)
    jpeg(root / "0100.jpg", 7)
    read = noted(monkeypatch)
    assert run(*packing(root, tmp_path / "s"))[0] == 0
    assert {int(path.stem) // SHARD_ROWS for path in read} == {0, 2}
    assert run("verify", tmp_path / "s", "--root", root, "-q")[0] == 0


def test_a_file_that_is_written_while_it_is_read_is_packed_again(tmp_path):
    class Growing(Numbers):
        def file_of(self, position):
            return tmp_path / f"{position}.txt"

        def __getitem__(self, position):
            sample = super().__getitem__(position)
            if position == 1 and self.file_of(1).read_text() == "half":
                self.file_of(1).write_text("the rest has arrived")
            return sample

    for position in range(3):
        (tmp_path / f"{position}.txt").write_text("half")
    pack(Growing(3), tmp_path / "s", **SETTINGS)
    reader = Growing(3)
    pack(reader, tmp_path / "s", **SETTINGS)
    assert reader.read == [0, 1, 2]
    reader = Growing(3)
    pack(reader, tmp_path / "s", **SETTINGS)
    assert reader.read == []


def test_a_dataset_without_files_has_its_damage_read_again(tmp_path):
    pack(Numbers(600, damaged=[3]), tmp_path / "s", max_damaged=1, **SETTINGS)
    reader = Numbers(600, damaged=[3])
    with pytest.raises(DataError, match=r"at most 0 damaged samples, found 1; .* image 3"):
        pack(reader, tmp_path / "s", **SETTINGS)
    assert reader.read == [3]
    store = pack(Numbers(600), tmp_path / "s", **SETTINGS)
    assert (store.manifest.damaged, len(store)) == (0, 600)
    assert store.manifest == pack(Numbers(600), tmp_path / "fresh", **SETTINGS).manifest


def old(folder):
    """Turn a store into one that an earlier version has written."""
    (folder / "sources.npz").unlink()
    values = json.loads((folder / "manifest.json").read_text())
    del values["digest"]
    (folder / "manifest.json").write_text(json.dumps(values))


def test_a_store_of_an_earlier_version_is_opened_and_packed_again_for_the_same(run, few, tmp_path):
    assert run(*packing(few, tmp_path / "s"))[0] == 0
    fingerprint = Manifest.read(tmp_path / "s").fingerprint
    old(tmp_path / "s")
    assert run("info", tmp_path / "s")[0] == run("verify", tmp_path / "s", "-q")[0] == 0
    code, out, err = run(*packing(few, tmp_path / "s"))
    assert (code, json.loads(out)["fingerprint"], err) == (0, fingerprint, "")
    old(tmp_path / "s")
    jpeg(few / "0001.jpg", 99)
    code, out, _ = run(*packing(few, tmp_path / "s"))
    assert (code, json.loads(out)["fingerprint"] != fingerprint) == (0, True)


FLIPPED = {
    "format_version": 3,
    "dataset": "other",
    "box": "detector",
    "labelled": True,
    "splits": {"pretrain": 11},
    "notes": ["another remark"],
    "made_with": {"handssl": "9"},
    "shards": ["0" * 32],
}


@pytest.mark.parametrize("field", list(Manifest.model_fields))
def test_verify_notices_a_change_of_any_field_of_the_manifest(run, few, tmp_path, field):
    assert run(*packing(few, tmp_path / "s"))[0] == 0
    path = tmp_path / "s" / "manifest.json"
    values = json.loads(path.read_text())
    given = values[field]
    another = f"{given}0" if isinstance(given, str) else None
    if isinstance(given, int | float):
        another = given + 1
    values[field] = FLIPPED.get(field, another)
    assert values[field] != given
    path.write_text(json.dumps(values))
    code, _, err = run("verify", tmp_path / "s", "-q")
    assert (code, "Traceback" in err) == (3, False)


def test_a_store_of_an_unknown_format_is_refused_with_what_to_do(run, few, tmp_path):
    assert run(*packing(few, tmp_path / "s"))[0] == 0
    path = tmp_path / "s" / "manifest.json"
    values = json.loads(path.read_text()) | {"format_version": 7, "new": "field"}
    path.write_text(json.dumps(values))
    for words in (("info", tmp_path / "s"), packing(few, tmp_path / "s")):
        code, _, err = run(*words)
        assert code == 3
        assert "expected a store of format_version 2, found 7, packed by handssl" in err
        assert "handssl data pack" in err
