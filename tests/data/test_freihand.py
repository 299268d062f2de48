"""Procedural hands in FreiHAND's layout, there and back; damage is named, never guessed around."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from handssl.data import open_dataset
from handssl.data.freihand import FreihandDataset, official_split
from handssl.data.preparation import DataConfig, prepare
from handssl.data.procedural import ProceduralDataset, ProceduralSpec, write_freihand
from handssl.data.sample import SPLITS
from handssl.errors import DataError, InputError

SPEC = ProceduralSpec(pretrain=5, probe=4, select=3, test=3, image_px=64, versions=2)

WRITER = """
import signal
import sys
from pathlib import Path
from handssl.data.procedural import ProceduralSpec, write_freihand

if __name__ == "__main__":
    # Tests that a shell starts in the background inherit Ctrl-C as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    spec = ProceduralSpec(pretrain=100_000, image_px=64)
    tell = lambda done, total: print(done, flush=True)
    write_freihand(Path(sys.argv[1]), spec, on_progress=tell)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    told = []
    root = tmp_path_factory.mktemp("freihand") / "root"
    write_freihand(
        root, SPEC, workers=1, on_progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (30, 30)
    return root


@pytest.fixture
def root(written, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(written, tmp_path / "root")


def test_the_layout_is_freihands(written):
    names = sorted(path.name for path in (written / "training" / "rgb").iterdir())
    assert names == [f"{image_id:08d}.jpg" for image_id in range(30)]
    for name, shape in (("K", (15, 3, 3)), ("xyz", (15, 21, 3)), ("scale", (15,))):
        assert np.shape(json.loads((written / f"training_{name}.json").read_text())) == shape
    scale, xyz = (
        np.array(json.loads((written / f"training_{name}.json").read_text()))
        for name in ("scale", "xyz")
    )
    np.testing.assert_allclose(scale, np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1))


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_written_is_read_back(written, split):
    read, drawn = FreihandDataset(written, split), ProceduralDataset(SPEC, split)
    assert len(read) == len(drawn)
    for index in range(len(read)):
        ours, theirs = drawn[index], read[index]
        assert (theirs.id, theirs.group) == (ours.id, ours.group)
        np.testing.assert_allclose(theirs.xyz, ours.xyz, atol=1e-12)
        np.testing.assert_allclose(theirs.uv, ours.uv, atol=1e-9)
        # JPEG halves the resolution of colour, so grey levels are what can be compared.
        assert np.abs(theirs.image.mean(axis=2) - ours.image.mean(axis=2)).mean() < 3.0
        wrong = drawn[(index + 1) % len(drawn)].image.mean(axis=2)
        assert np.abs(theirs.image.mean(axis=2) - wrong).mean() > 10.0


def test_no_unique_id_is_in_two_splits(written):
    ids = [set(FreihandDataset(written, split).layout.ids[split]) for split in SPLITS]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 15


def test_a_set_that_is_there_is_kept_and_another_is_refused(root):
    before = (root / "training_K.json").stat().st_mtime_ns
    write_freihand(root, SPEC, workers=1)
    assert (root / "training_K.json").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="choose another folder"):
        write_freihand(root, SPEC.merged({"seed": 5}), workers=1)


def test_a_folder_with_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="found something else"):
        write_freihand(tmp_path, SPEC, workers=1)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_freihand(tmp_path / "file" / "root", SPEC, workers=1)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_writer_that_is_ended_leaves_neither_processes_nor_a_set(tmp_path, ending):
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    root = tmp_path / "root"
    writer = subprocess.Popen(
        [sys.executable, str(script), str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert writer.stdout.readline()  # the first chunk is on disk
    children = psutil.Process(writer.pid).children(recursive=True)
    assert children
    if ending == signal.SIGINT:
        os.killpg(writer.pid, ending)  # as a terminal does
    else:
        os.kill(writer.pid, ending)
    with writer:  # closes the pipe and waits, whatever happens
        try:
            assert writer.wait(60) != 0
        finally:
            writer.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert not root.exists()
    write_freihand(root, SPEC, workers=1)
    assert len(FreihandDataset(root, "probe")) == 8


def damage(root, name, change):
    path = root / f"training_{name}.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(change(values)))


def replaced(values, index, value):
    return [value if i == index else v for i, v in enumerate(values)]


BROKEN_LISTS = [
    ("K", lambda v: v[:-1], r"training_K\.json: expected 15 entries, found 14"),
    ("xyz", lambda v: {"a": 1}, r"training_xyz\.json: expected 15 entries, found 0"),
    ("K", lambda v: replaced(v, 3, [[1, 2], [3, 4]]), r"id 3: expected shape \(3, 3\)"),
    ("xyz", lambda v: replaced(v, 2, [[1, 2, 3], [4]]), "id 2: .* lists of unequal lengths"),
    ("K", lambda v: replaced(v, 4, [[float("nan")] * 3] * 3), "id 4: expected a finite camera"),
    ("xyz", lambda v: replaced(v, 1, [[0.0, 0.0, -0.5]] * 21), r"id 1: .*z > 0"),
    ("xyz", lambda v: replaced(v, 1, [[float("inf")] * 3] * 21), "id 1: expected finite joints"),
]


@pytest.mark.parametrize(("name", "change", "message"), BROKEN_LISTS)
def test_a_broken_annotation_is_named_with_file_and_id(root, name, change, message):
    damage(root, name, change)
    with pytest.raises(DataError, match=message):
        FreihandDataset(root, "probe")


def test_text_that_is_no_json_is_named(root):
    (root / "training_K.json").write_text("[1,")
    with pytest.raises(DataError, match=r"training_K\.json: expected JSON"):
        FreihandDataset(root, "probe")


def test_a_missing_image_is_named(root):
    dataset = FreihandDataset(root, "probe")
    (root / "training" / "rgb" / "00000005.jpg").unlink()
    with pytest.raises(DataError, match=r"00000005\.jpg: expected an image, found none"):
        dataset[0]


@pytest.mark.parametrize("keep", [0, 100, -40])
def test_a_truncated_image_is_named(root, keep):
    path = root / "training" / "rgb" / "00000005.jpg"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"00000005\.jpg: expected a whole JPEG"):
        FreihandDataset(root, "probe")[0]


def test_an_image_of_another_size_is_named(root):
    damaged = json.loads((root / "procedural.json").read_text())
    damaged["spec"]["image_px"] = 80
    (root / "procedural.json").write_text(json.dumps(damaged))
    with pytest.raises(DataError, match="expected 80 x 80 pixels, found 64 x 64"):
        FreihandDataset(root, "probe")[0]


def test_a_wrong_root_says_what_is_there_and_what_may_be_meant(root):
    with pytest.raises(DataError, match=r"expected a FreiHAND root .* did you mean .*root"):
        FreihandDataset(root.parent, "probe")
    with pytest.raises(DataError, match="found nothing"):
        FreihandDataset(root / "none", "probe")


def test_without_procedural_json_the_official_counts_are_insisted_on(root):
    (root / "procedural.json").unlink()
    with pytest.raises(DataError, match="expected 32560 entries, found 15"):
        FreihandDataset(root, "probe")


@pytest.mark.parametrize("rule", ["blocks", "published_90_10"])
def test_official_splits_keep_ids_apart_and_cover_all(rule):
    ids = official_split(rule)
    label_splits = [set(ids[split].tolist()) for split in ("probe", "select", "test")]
    assert sum(map(len, label_splits)) == len(set.union(*label_splits)) == 32_560
    assert len(ids["test"]) == 3_256
    assert np.array_equal(ids["pretrain"], ids["probe"])


def test_the_published_test_ids_are_the_published_ones():
    # First ids of the published validation set, in order.
    expected = [5, 19, 21, 39, 86, 111]
    assert official_split("published_90_10")["test"][:6].tolist() == expected


def test_blocks_hold_out_contiguous_ids():
    select = official_split("blocks")["select"]
    assert np.array_equal(select[:100], np.arange(900, 1000))


def test_datasets_are_opened_by_name(written):
    assert len(open_dataset("freihand", written, split="select")) == 6
    assert len(open_dataset("procedural", split="probe", probe=3)) == 3


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("freihnd",), {}, "did you mean 'freihand'"),
        (("freihand",), {}, "expected a root"),
        (("freihand", "."), {"rul": "blocks"}, "unknown option rul"),
        (("procedural",), {"split": "train"}, "unknown split 'train'"),
        (("procedural",), {"prob": 3}, "did you mean 'probe'"),
    ],
)
def test_a_mistake_in_opening_is_told(arguments, options, message):
    with pytest.raises(InputError, match=message):
        open_dataset(*arguments, **options)


def test_prepared_data_takes_the_path_of_real_data_and_is_reused(tmp_path):
    config = DataConfig(pretrain=24, probe=16, select=16, test=16, image_px=64, crop_px=64)
    phases = []
    folder = prepare(config, tmp_path, lambda phase, done, total: phases.append(phase), workers=1)
    assert set(phases) == {"rendering", *(f"packing {split}" for split in SPLITS)}
    (source,) = (tmp_path / "datasets").iterdir()
    assert (source / "training" / "rgb").is_dir()
    phases.clear()
    assert prepare(config, tmp_path, lambda phase, done, total: phases.append(phase)) == folder
    assert not phases
