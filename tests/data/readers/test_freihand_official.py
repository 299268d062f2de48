"""FreiHAND at its official size: 32,560 ids in four versions and 3,960 evaluation images."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from handssl.data.readers.freihand import FreihandReader, annotations, official_split
from handssl.data.sample import SplitView
from handssl.errors import DataError
from handssl.randomness import numpy_generator

IDS, EVALUATION = 32_560, 3_960

# Opens a root in a process of its own; tells by how much the peak of its memory grew, in KiB.
OPENER = """
import json, sys
from pathlib import Path
from handssl.data.readers.freihand import FreihandReader

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before = peak()
reader = FreihandReader(Path(sys.argv[1]))
print(json.dumps([len(reader), peak() - before]))
"""


def write_lists(root, part, count):
    rng = numpy_generator("official", part)
    xyz = (rng.normal(0.0, 0.03, (count, 21, 3)) + np.array([0.0, 0.0, 0.7])).round(5)
    camera = np.tile(np.array([[480.0, 0, 112], [0, 480, 112], [0, 0, 1]]), (count, 1, 1))
    camera[:, 0, 0] += np.arange(count) / 100
    lists = {"K": camera, "xyz": xyz, "scale": np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1)}
    for name, values in lists.items():
        (root / f"{part}_{name}.json").write_text(json.dumps(values.tolist()))


def grey(number):
    return number % 200 + 40


def write_image(root, part, number):
    path = root / part / "rgb" / f"{number:08d}.jpg"
    cv2.imwrite(str(path), np.full((224, 224, 3), grey(number), np.uint8))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """One for all tests here: what is tested is what follows the parsing."""
    folder = tmp_path_factory.getbasetemp() / "official-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All annotations, and images of a few ids."""
    root = tmp_path_factory.mktemp("official") / "FreiHAND"
    for part in ("training", "evaluation"):
        (root / part / "rgb").mkdir(parents=True)
    write_lists(root, "training", IDS)
    write_lists(root, "evaluation", EVALUATION)
    for unique in (0, 355, 17_620, 32_559):
        for version in range(4):
            write_image(root, "training", unique + IDS * version)
    for number in (0, 3_959):
        write_image(root, "evaluation", number)
    return root


def test_ids_groups_and_labels_are_the_official_ones(root):
    reader = FreihandReader(root)
    assert (len(reader), reader.versions) == (134_200, ("gs", "hom", "sample", "auto"))
    for row in (355, 17_620, 32_915, 50_180, 65_475, 82_740, 98_035, 115_300):
        sample = reader[row]
        assert (sample.id, sample.group) == (row, row % IDS)
        assert sample.camera[0, 0] == 480.0 + (row % IDS) / 100
        assert abs(int(sample.image[0, 0, 0]) - grey(row)) <= 1
        x, y, z = sample.xyz[5]
        expected = [sample.camera[0, 0] * x / z + 112, 480 * y / z + 112]
        np.testing.assert_allclose(sample.uv[5], expected)
    last = reader[134_199]
    assert (last.id, last.group) == (130_240 + 3_959, 32_560 + 3_959)
    assert abs(int(last.image[0, 0, 0]) - grey(3_959)) <= 1


def test_a_subset_of_the_versions_reads_the_right_files(root):
    reader = FreihandReader(root, versions=("gs", "sample"))
    assert len(reader) == 2 * IDS + EVALUATION
    assert reader[IDS + 355].id == 2 * IDS + 355
    assert reader[2 * IDS].id == 130_240


@pytest.mark.parametrize("rule", ["blocks", "published_90_10"])
def test_splits_of_the_reader_are_the_official_ones_in_all_versions(root, rule):
    reader = FreihandReader(root, rule=rule)
    for split, ids in official_split(rule).items():
        rows = reader.splits[split]
        assert len(rows) == len(set(rows.tolist())) == 4 * len(ids)
        assert set((rows % IDS).tolist()) == set(ids.tolist())
    assert reader.splits["evaluation"].tolist() == list(range(130_240, 134_200))
    assert ("recordings lie on both sides" in reader.split_rule) == (rule == "published_90_10")
    assert (reader.fingerprint == FreihandReader(root).fingerprint) == (rule == "blocks")


def test_pretraining_lists_the_images_of_probe(root):
    reader = FreihandReader(root)
    assert np.array_equal(reader.splits["pretrain"], reader.splits["probe"])
    assert SplitView(reader, "pretrain")[0].id == 0


def test_counts_other_than_the_official_ones_are_refused(root, tmp_path):
    short = tmp_path / "FreiHAND_pub_v2_eval"
    (short / "evaluation" / "rgb").mkdir(parents=True)
    write_lists(short, "evaluation", EVALUATION - 1)
    with pytest.raises(DataError, match=r"evaluation_K\.json: expected 3960 entries, found 3959"):
        FreihandReader(root, evaluation_root=short)


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


@pytest.mark.slow
def test_a_whole_root_opens_from_the_cache_without_parsing_or_much_memory(root, tmp_path):
    whole = tmp_path / "whole"
    (whole / "training" / "rgb").mkdir(parents=True)
    shared = root / "training" / "rgb" / "00000000.jpg"
    for number in range(4 * IDS):
        (whole / "training" / "rgb" / f"{number:08d}.jpg").symlink_to(shared)
    for path in root.glob("training_*.json"):
        (whole / path.name).symlink_to(path)
    reader = FreihandReader(whole)
    for row in numpy_generator("rows").integers(4 * IDS, size=500).tolist():
        assert (reader[row].id, reader[row].group) == (row, row % IDS)

    command = [sys.executable, "-c", OPENER, str(whole)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    length, grown_kib = json.loads(done.stdout)
    assert length == 4 * IDS
    assert grown_kib < 2**20


def test_the_second_opening_parses_nothing(root, monkeypatch):
    FreihandReader(root)
    monkeypatch.setattr(annotations, "_read_json", lambda path: pytest.fail(f"parsed {path}"))
    assert len(FreihandReader(root, rule="published_90_10")) == 134_200
