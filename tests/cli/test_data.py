"""`handssl data`, as a new user meets it."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest

from handssl.cli.app import invoke


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Procedural hands in FreiHAND's layout."""
    root = tmp_path_factory.mktemp("official") / "root"
    sizes = ("pretrain=6", "probe=5", "select=4", "test=4", "image_px=64", "evaluation=3")
    changes = [word for size in sizes for word in ("--set", size)]
    assert invoke(["data", "write", "freihand", "--root", str(root), "--quiet", *changes]) == 0
    return root


@pytest.fixture(scope="module")
def storage(official, tmp_path_factory):
    storage = tmp_path_factory.mktemp("storage")
    words = ["data", "pack", "freihand", "--root", official, "--storage", storage]
    assert invoke([*map(str, words), "--crop-px", "64", "--quiet"]) == 0
    return storage


@pytest.fixture
def run(capfd):
    def call(*arguments):
        code = invoke([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call


def test_packing_says_size_and_time_first_and_what_to_do_next(run, official, tmp_path):
    words = ("data", "pack", "freihand", "--root", official, "--storage", tmp_path)
    code, out, err = run(*words, "--crop-px", 64)
    assert code == 0
    assert "freihand: 22 images, crops of 64 px" in err
    assert re.search(r"size  0\.00 GB \(\d+ GB free\)\n +time  about \d+ s on", err)
    assert "data: {name: freihand, fingerprint:" in out
    assert re.search(r"evaluation +3 +3", out)
    (folder,) = (tmp_path / "stores").iterdir()
    assert str(folder) in out
    code, _, err = run(*words, "--crop-px", 64)
    assert (code, err) == (0, "")  # it is there, so nothing is announced


def test_the_study_that_is_named_after_packing_finds_the_store(run, official, storage, monkeypatch):
    words = ("data", "pack", "freihand", "--root", official, "--crop-px", 64, "--quiet")
    _, out, _ = run(*words, "--storage", storage)
    assert f"study run STUDY.yaml --storage {storage}" in out
    (storage / "with space").mkdir()
    _, out, _ = run(*words, "--storage", storage, "--out", storage / "with space" / "mine")
    monkeypatch.delenv("HANDSSL_STORES", raising=False)
    [line] = re.findall(r"export HANDSSL_STORES=(.*)", out)
    assert line == f"'{storage}/with space'"
    shutil.rmtree(storage / "with space")


def test_a_dry_run_writes_nothing(run, official, tmp_path):
    code, out, err = run(
        "data", "pack", "freihand", "--root", official, "--storage", tmp_path, "--dry-run"
    )
    assert (code, out) == (0, "")
    assert "time  about" in err
    assert list(tmp_path.iterdir()) == []


def test_info_is_for_people_and_for_scripts(run, storage):
    code, out, _ = run("data", "info", "freihand", "--storage", storage)
    assert code == 0
    assert "wrist to middle knuckle, mm" in out
    code, out, _ = run("data", "info", "freihand", "--storage", storage, "--json")
    described = json.loads(out)
    assert described["splits"]["probe"] == described["groups"]["probe"] == 5
    least, _, largest = described["ranges"]["joint u in the crop, px"]
    assert 0 < least < largest < 63


def test_show_draws_a_sheet(run, storage, tmp_path):
    path = tmp_path / "sheet.png"
    code, out, _ = run(
        "data", "show", "freihand", "--storage", storage, "--split", "select", "--out", path
    )
    assert (code, out.strip()) == (0, str(path))
    sheet = cv2.imread(str(path))
    assert min(sheet.shape[:2]) > 300
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 1000


def test_show_names_a_split_that_is_not_there(run, storage):
    code, _, err = run("data", "show", "freihand", "--storage", storage, "--split", "selct")
    assert code == 3
    assert "no split 'selct'; did you mean 'select'?" in err


def test_verify_passes_and_finds_a_changed_byte(run, official, tmp_path):
    words = ("--root", official, "--storage", tmp_path, "--quiet")
    assert run("data", "pack", "freihand", *words, "--crop-px", 64)[0] == 0
    code, out, _ = run("data", "verify", "freihand", "--storage", tmp_path, "--root", official)
    assert code == 0
    assert "22 images, every byte as packed" in out
    (folder,) = (tmp_path / "stores").iterdir()
    content = bytearray((folder / "images.npy").read_bytes())
    content[-1] ^= 255
    (folder / "images.npy").write_bytes(content)
    code, _, err = run("data", "verify", "freihand", "--storage", tmp_path, "-q")
    assert code == 3
    assert "rows 0 to 21: crops or labels were changed" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("freihnd",), 2, "unknown dataset 'freihnd'; did you mean 'freihand'?"),
        (("freihand",), 2, "freihand: expected a root"),
        (("freihand", "--root", "."), 3, "expected"),
        (("freihand", "--root", ".", "--set", "rul=blocks"), 2, "did you mean 'rule'?"),
        (("folder", "--root", "no-such-folder"), 3, "no-such-folder"),
        (("freihand", "--crop-px", "3"), 2, "--crop-px"),
    ],
)
def test_mistakes_are_one_message_and_an_exit_code(run, tmp_path, words, code, message):
    found, _, err = run("data", "pack", *words, "--storage", tmp_path)
    assert found == code
    assert message in err
    assert "Traceback" not in err


def test_a_damaged_image_is_named_or_left_out_and_counted(run, official, tmp_path):
    image = official / "training" / "rgb" / "00000004.jpg"
    whole = image.read_bytes()
    image.write_bytes(whole[:-40])
    words = ("data", "pack", "freihand", "--root", official, "--storage", tmp_path, "--quiet")
    try:
        code, _, err = run(*words)
        assert code == 3
        assert "00000004.jpg: expected a whole JPEG" in err
        code, out, _ = run(*words, "--max-damaged", 1, "--json")
        assert (code, json.loads(out)["damaged"]) == (0, 1)
    finally:
        image.write_bytes(whole)


def test_a_folder_of_images_is_packed_for_pretraining(run, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    code, out, _ = run(
        "data", "pack", "folder", "--root", tmp_path, "--out", tmp_path / "store", "-q"
    )
    assert code == 0
    assert "data: {name: freihand, pretrain: {name: folder, fingerprint:" in out
    code, out, _ = run(
        "data", "show", tmp_path / "store", "--split", "pretrain", "--out", tmp_path / "s.png"
    )
    assert code == 0
