"""Procedural hands written in FreiHAND's layout: whole or not at all."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from handssl.data.procedural import ProceduralSpec, make_sample, write_freihand
from handssl.data.procedural.freihand_manifest import ProceduralManifest
from handssl.data.readers.freihand import FreihandReader
from handssl.errors import DataError, InputError

SPEC = ProceduralSpec(pretrain=5, probe=4, select=3, test=3, image_px=64, versions=2, evaluation=4)

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


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    told = []
    root = tmp_path_factory.mktemp("freihand") / "root"
    write_freihand(
        root,
        SPEC,
        workers=1,
        on_progress=lambda done, total: told.append((done, total)),
        separate_evaluation=True,
    )
    assert told[-1] == (34, 34)
    return root


def read(path):
    return json.loads(path.read_text())


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("part", "ids", "images"), [("training", 15, 30), ("evaluation", 4, 4)])
def test_the_layout_is_freihands(written, part, ids, images):
    root = written if part == "training" else written.with_name("root_eval")
    lists = [f"{part}_{name}.json" for name in ("K", "scale", "xyz")]
    assert names_in(root) == sorted([part, *lists, "procedural.json"])
    assert names_in(root / part / "rgb") == [f"{number:08d}.jpg" for number in range(images)]
    camera, xyz, scale = (
        np.array(read(root / f"{part}_{name}.json")) for name in ("K", "xyz", "scale")
    )
    assert (camera.shape, xyz.shape) == ((ids, 3, 3), (ids, 21, 3))
    np.testing.assert_allclose(scale, np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1))


def test_lists_are_in_the_order_of_the_ids(written):
    xyz = read(written / "training_xyz.json")
    first = {split: SPEC.unique_ids(split).start for split in ("pretrain", "probe", "test")}
    for split, unique in first.items():
        assert xyz[unique] == make_sample(SPEC, split, 0).xyz.tolist()
    evaluation = read(written.with_name("root_eval") / "evaluation_xyz.json")
    assert evaluation[3] == make_sample(SPEC, "evaluation", 3).xyz.tolist()


def test_the_manifest_tells_ids_and_subjects_of_every_split():
    manifest = ProceduralManifest.of(SPEC)
    assert manifest.unique_ids["evaluation"] == (15, 19)
    assert manifest.subjects["evaluation"] == (192, 216)
    assert "evaluation" not in ProceduralManifest.of(SPEC.merged({"evaluation": 0})).unique_ids


def test_a_set_without_evaluation_has_no_folder_for_it(tmp_path):
    spec = ProceduralSpec(pretrain=1, probe=0, select=0, test=0, image_px=64)
    root = write_freihand(tmp_path / "root", spec, workers=1)
    assert not list(root.glob("evaluation*"))
    assert names_in(tmp_path) == ["root"]
    assert list(FreihandReader(root).splits) == ["pretrain"]
    with pytest.raises(InputError, match="expected evaluation > 0"):
        write_freihand(tmp_path / "other", spec, separate_evaluation=True)


def test_a_set_that_is_there_is_kept_and_another_is_refused(written):
    paths = [written / "training_K.json", written.with_name("root_eval") / "evaluation_K.json"]
    before = [path.stat().st_mtime_ns for path in paths]
    write_freihand(written, SPEC, workers=1, separate_evaluation=True)
    assert [path.stat().st_mtime_ns for path in paths] == before
    with pytest.raises(DataError, match="choose another folder"):
        write_freihand(written, SPEC.merged({"seed": 5}), workers=1)


def test_a_folder_with_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "root_eval").mkdir()
    (tmp_path / "root_eval" / "mine.txt").write_text("keep")
    for root, options in ((tmp_path, {}), (tmp_path / "root", {"separate_evaluation": True})):
        with pytest.raises(DataError, match="found something else"):
            write_freihand(root, SPEC, workers=1, **options)
    assert (tmp_path / "root_eval" / "mine.txt").read_text() == "keep"
    assert names_in(tmp_path) == ["root_eval"]


def test_processes_write_what_one_process_writes(written, tmp_path):
    root = write_freihand(tmp_path / "root", SPEC, workers=2, separate_evaluation=True)
    for name in ("root", "root_eval"):
        for path in (tmp_path / name).rglob("*.*"):
            assert path.read_bytes() == (written.parent / path.relative_to(tmp_path)).read_bytes()
    assert names_in(root.parent) == ["root", "root_eval"]


def test_an_interrupted_writer_leaves_no_set(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_freihand(tmp_path / "root", SPEC, workers=1, on_progress=interrupt)
    assert not (tmp_path / "root").exists()


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
    assert len(FreihandReader(root)) == 34
