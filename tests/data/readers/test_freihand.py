"""Procedural hands in FreiHAND's layout, read back; each image once, by its id."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from handssl.data.procedural import ProceduralReader, ProceduralSpec, write_freihand
from handssl.data.readers.freihand import FreihandReader, annotations
from handssl.data.sample import SPLITS, Reader, SplitView
from handssl.errors import DataError, InputError

SPEC = ProceduralSpec(pretrain=5, probe=4, select=3, test=3, image_px=64, versions=2, evaluation=4)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "handssl"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_freihand(tmp_path_factory.mktemp("freihand") / "root", SPEC, workers=1)


@pytest.fixture
def root(written, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(written, tmp_path / "root")


@pytest.fixture
def parsed(monkeypatch):
    """The lists that were parsed, as they are."""
    names, read = [], annotations._read_json

    def spy(path):
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(annotations, "_read_json", spy)
    return names


def move_evaluation(root, target):
    target.mkdir()
    for path in [*root.glob("evaluation*")]:
        path.rename(target / path.name)
    return target


@pytest.mark.parametrize("split", [*SPLITS, "evaluation"])
def test_what_is_written_is_read_back(written, split):
    read = SplitView(FreihandReader(written), split)
    drawn = SplitView(ProceduralReader(SPEC), split)
    assert len(read) == len(drawn) == SPEC.count(split) * SPEC.versions_of(split)
    for index in range(len(read)):
        ours, theirs = drawn[index], read[index]
        assert (theirs.id, theirs.group) == (ours.id, ours.group)
        np.testing.assert_allclose(theirs.xyz, ours.xyz, atol=1e-12)
        np.testing.assert_allclose(theirs.uv, ours.uv, atol=1e-9)
        np.testing.assert_allclose(theirs.camera, ours.camera, atol=1e-12)
        # JPEG halves the resolution of colour, so grey levels are what can be compared.
        assert np.abs(theirs.image.mean(axis=2) - ours.image.mean(axis=2)).mean() < 3.0
        wrong = drawn[(index + 1) % len(drawn)].image.mean(axis=2)
        assert np.abs(theirs.image.mean(axis=2) - wrong).mean() > 10.0


def test_every_image_is_listed_once_and_no_unique_id_is_in_two_splits(written):
    reader = FreihandReader(written)
    assert isinstance(reader, Reader)
    assert [reader[row].id for row in range(len(reader))] == list(range(34))
    with pytest.raises(IndexError):
        reader[34]
    groups = [{reader[row].group for row in rows} for rows in reader.splits.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 15 + 4
    assert "subjects" in reader.split_rule
    assert reader.notes == ()


def test_a_subset_of_the_versions_keeps_ids_and_splits(written):
    whole, second = FreihandReader(written), FreihandReader(written, versions=("hom",))
    assert (second.versions, len(second)) == (("hom",), 15 + 4)
    assert [second[row].id for row in range(19)] == [*range(15, 30), *range(30, 34)]
    for split in (*SPLITS, "evaluation"):
        groups = [{reader[row].group for row in reader.splits[split]} for reader in (whole, second)]
        assert groups[0] == groups[1]
    assert whole.fingerprint != second.fingerprint


def test_versions_come_in_the_order_of_the_files(written):
    reader = FreihandReader(written, versions=("hom", "gs", "hom"))
    assert reader.versions == ("gs", "hom")
    assert reader.fingerprint == FreihandReader(written).fingerprint


def test_versions_that_the_root_lacks_are_left_out_and_reported(root):
    for number in range(15, 30):
        (root / "training" / "rgb" / f"{number:08d}.jpg").unlink()
    reader = FreihandReader(root)
    assert (reader.versions, len(reader)) == (("gs",), 15 + 4)
    assert reader.notes == ("versions: no images of hom, left out",)
    assert FreihandReader(root, versions=("gs",)).notes == ()
    with pytest.raises(InputError, match=r"version 'hom': expected .*00000015\.jpg"):
        FreihandReader(root, versions=("gs", "hom"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"versions": ("hm",)}, "no version 'hm'; did you mean 'hom'"),
        ({"versions": ("auto",)}, "no version 'auto'"),  # the set was made with two
        ({"versions": ()}, "expected at least one version"),
        ({"rule": "block"}, "unknown rule 'block'; did you mean 'blocks'"),
    ],
)
def test_a_mistake_in_an_option_is_reported(written, options, message):
    with pytest.raises(InputError, match=message):
        FreihandReader(written, **options)


@pytest.mark.parametrize("where", ["sibling", "given"])
def test_evaluation_images_may_lie_in_a_root_of_their_own(written, root, where):
    other = move_evaluation(root, root.with_name("root_eval" if where == "sibling" else "second"))
    options = {"evaluation_root": other} if where == "given" else {}
    reader, merged = FreihandReader(root, **options), FreihandReader(written)
    assert reader.evaluation_root == other
    assert reader.fingerprint == merged.fingerprint
    ours, theirs = (SplitView(r, "evaluation") for r in (reader, merged))
    assert len(ours) == 4
    for index in range(4):
        assert np.array_equal(ours[index].image, theirs[index].image)
        assert np.array_equal(ours[index].xyz, theirs[index].xyz)
        assert (ours[index].id, ours[index].group) == (30 + index, 15 + index)


def test_evaluation_images_without_joints_are_left_out_and_reported(written, root):
    """The training release has the evaluation's images, cameras and scales, but no joints."""
    (root / "evaluation_xyz.json").unlink()
    reader = FreihandReader(root)
    assert "evaluation" not in reader.splits
    assert len(reader) == 30
    (note,) = reader.notes
    assert "evaluation: no evaluation_xyz.json, left out" in note
    assert reader.fingerprint != FreihandReader(written).fingerprint
    with pytest.raises(InputError, match="no split 'evaluation'"):
        SplitView(reader, "evaluation")


def test_joints_in_a_sibling_complete_a_root_without_them(written, root):
    shutil.copytree(root, root.with_name("root_eval"))
    (root / "evaluation_xyz.json").unlink()
    reader = FreihandReader(root)
    assert reader.evaluation_root == root.with_name("root_eval")
    assert reader.notes == ()


def test_a_root_without_evaluation_needs_no_remark(root):
    move_evaluation(root, root.with_name("elsewhere"))
    assert FreihandReader(root).notes == ()


def test_an_evaluation_root_for_a_set_without_one_is_refused(root):
    manifest = json.loads((root / "procedural.json").read_text())
    manifest["spec"]["evaluation"] = 0
    (root / "procedural.json").write_text(json.dumps(manifest))
    assert "evaluation" not in FreihandReader(root).splits
    with pytest.raises(InputError, match="made without evaluation images"):
        FreihandReader(root, evaluation_root=root)


@pytest.mark.parametrize("missing", ["evaluation_K.json", "evaluation_xyz.json"])
def test_an_evaluation_root_that_was_given_must_hold_the_release(root, missing):
    other = move_evaluation(root, root.with_name("second"))
    (other / missing).unlink()
    with pytest.raises(DataError, match=f"second: expected the evaluation release.*{missing}"):
        FreihandReader(root, evaluation_root=other)


def test_the_list_of_vertices_is_never_opened(root):
    os.mkfifo(root / "training_verts.json")  # opening it waits endlessly
    os.mkfifo(root / "training_mano.json")
    assert len(FreihandReader(root)) == 34


def test_lists_are_parsed_once_and_again_when_a_file_changed(root, parsed, cache):
    first = FreihandReader(root)
    assert sorted(parsed) == [
        *(f"evaluation_{name}.json" for name in ("K", "scale", "xyz")),
        *(f"training_{name}.json" for name in ("K", "scale", "xyz")),
    ]
    parsed.clear()
    second = FreihandReader(root, versions=("gs",))
    assert parsed == []
    assert np.array_equal(first[3].xyz, second[3].xyz)
    path = root / "training_K.json"
    values = json.loads(path.read_text())
    values[3][0][0] *= 1.5
    path.write_text(json.dumps(values))
    changed = FreihandReader(root)
    assert sorted(set(parsed)) == [f"training_{name}.json" for name in ("K", "scale", "xyz")]
    assert changed[3].camera[0, 0] == first[3].camera[0, 0] * 1.5
    assert changed.fingerprint != first.fingerprint
    assert len(list(cache.iterdir())) == 3


def test_a_sample_may_be_changed_without_changing_the_next_one(root):
    reader = FreihandReader(root)
    before = reader[0].xyz.copy()
    reader[0].xyz[:] = 0
    assert np.array_equal(reader[0].xyz, before)


def test_a_reader_travels_to_another_process_without_its_labels(root):
    reader = FreihandReader(root, versions=("hom",))
    data = pickle.dumps(reader)
    again = pickle.loads(data)
    assert len(data) < 1000
    assert (again.fingerprint, len(again)) == (reader.fingerprint, len(reader))


def test_a_root_may_be_given_as_the_folder_one_is_in(root, monkeypatch):
    move_evaluation(root, root.with_name("root_eval"))
    monkeypatch.chdir(root)
    assert "evaluation" in FreihandReader(Path()).splits
