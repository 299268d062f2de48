"""The packed store: what is packed comes back, is checked, and is shared."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from handssl.data.crops import crop_sample
from handssl.data.manifest import Manifest, digest
from handssl.data.packing import pack
from handssl.data.splits import StudyData, combine
from handssl.data.store import PackedStore
from handssl.data.verify import verify
from handssl.errors import DataError, InputError

SMALL = {"pretrain": 6, "probe": 5, "select": 3, "test": 3}


@pytest.fixture
def store(tmp_path, blob_dataset):
    return pack(blob_dataset(**SMALL), tmp_path / "store", crop_px=56, context=1.75)


def test_every_split_gives_back_images_and_labels(store, blob_dataset):
    reader = blob_dataset(**SMALL)
    for split, rows in reader.splits.items():
        packed = store.split(split)
        crops = packed.crops(np.arange(len(packed)))
        for index, position in enumerate(rows):
            image, row = crop_sample(reader[position], 56, 1.75)
            assert np.array_equal(crops[index].permute(1, 2, 0).numpy(), image)
            for name in ("uv", "xyz", "camera", "valid", "ids", "groups"):
                assert np.array_equal(packed.label(name)[index], row[name])
    assert store.split("probe").ids.tolist() == [1000, 1001, 1002, 1003, 1004]


def test_a_batch_comes_in_the_order_asked_for_with_repeats(store):
    split = store.split("pretrain")
    every = split.crops(np.arange(6))
    asked = np.array([4, 0, 4, 5])
    assert torch.equal(split.crops(asked), every[asked])
    assert split.crops(asked).is_contiguous(memory_format=torch.channels_last)


def test_the_manifest_says_what_is_inside(store, blob_dataset):
    manifest = store.manifest
    assert (manifest.images, manifest.rows, manifest.damaged) == (17, 17, 0)
    assert manifest.splits == SMALL
    assert manifest.labelled and manifest.split_rule == "by hand"
    assert len(manifest.fingerprint) == 32 and int(manifest.fingerprint, 16) >= 0


def test_a_split_that_is_not_there_is_named_with_the_nearest(store):
    with pytest.raises(DataError, match="no split 'prob'; did you mean 'probe'"):
        store.split("prob")


def test_a_resident_split_gives_the_same_crops_and_is_copied_once(store):
    mapped, asked = store.split("select"), np.array([2, 0])
    first, second = mapped.on("cpu"), PackedStore(store.folder).split("select").on("cpu")
    assert torch.equal(first.crops(asked), mapped.crops(asked))
    assert np.array_equal(first.label("uv"), mapped.label("uv"))
    assert first._images is second._images  # the trials of a process share it


def test_what_is_done_to_a_crop_leaves_the_store_as_it_is(store):
    store.split("probe").crops(np.arange(3)).zero_()
    assert store.split("probe").crops(np.arange(3)).sum() > 0
    assert PackedStore(store.folder).split("probe").crops(np.arange(3)).sum() > 0


READ_ALL = """
import sys
from pathlib import Path
import numpy as np
import torch
from handssl.data.store import PackedStore
from handssl.data.verify import verify

def anonymous_bytes():  # memory that belongs to this process and to no file
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Anonymous"))

images = PackedStore(Path(sys.argv[1])).images
buffer = torch.empty((8, 448, 448, 3), dtype=torch.uint8)
images.take(np.arange(8), out=buffer)  # what torch sets up when first used is not ours
before = anonymous_bytes()
for start in range(0, 96, 8):
    images.take(np.arange(start, start + 8), out=buffer)
print(anonymous_bytes() - before, images.array.nbytes)
"""


def test_a_process_that_reads_a_whole_store_has_no_copy_of_its_own(tmp_path, blob_dataset):
    folder = pack(blob_dataset(pretrain=96), tmp_path / "s", crop_px=448, context=1.75).folder
    told = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(folder)], capture_output=True, text=True, check=True
    )
    own, size = map(int, told.stdout.split())
    assert own < 0.1 * size  # a copy would be all of it


def cut(path, size):
    with path.open("r+b") as file:
        file.truncate(size)


CHANGES = [
    ("cut crops", lambda f: cut(f / "images.npy", 5000), r"images\.npy: expected uint8"),
    ("no crops", lambda f: (f / "images.npy").unlink(), r"images\.npy: expected packed crops"),
    ("no crops but text", lambda f: (f / "images.npy").write_text("x"), "expected packed crops"),
    ("cut labels", lambda f: cut(f / "labels" / "uv.npy", 300), r"uv\.npy: expected an array"),
    ("no labels", lambda f: (f / "labels" / "xyz.npy").unlink(), "expected 17 entries"),
    ("no split", lambda f: (f / "splits" / "test.npy").unlink(), "expected 3 entries"),
    ("no manifest", lambda f: (f / "manifest.json").unlink(), "expected a packed store with"),
    ("broken manifest", lambda f: (f / "manifest.json").write_text("{"), "manifest"),
    (
        "other labels",
        lambda f: np.save(f / "labels" / "uv.npy", np.zeros((4, 21, 2))),
        r"uv\.npy: expected 17 entries as in the manifest, found 4; the store was changed",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
def test_a_store_that_was_changed_is_refused_with_what_is_wrong(store, change, message):
    change(store.folder)
    with pytest.raises(DataError, match=message):
        PackedStore(store.folder)


def test_a_study_needs_all_four_splits(tmp_path, blob_dataset):
    pack(blob_dataset(probe=4, test=2), tmp_path / "s", crop_px=56, context=1.75)
    with pytest.raises(DataError, match="missing pretrain, select"):
        StudyData(tmp_path / "s")


def test_the_fingerprint_of_a_study_follows_every_split(tmp_path, blob_dataset):
    prints = set()
    for split in (None, *SMALL):
        counts = {name: count + (name == split) for name, count in SMALL.items()}
        folder = tmp_path / str(split)
        pack(blob_dataset(**counts), folder, crop_px=56, context=1.75)
        prints.add(StudyData(folder).fingerprint)
    assert len(prints) == 5


def test_the_fingerprint_does_not_depend_on_place_or_threads(tmp_path, blob_dataset):
    prints = {
        pack(
            blob_dataset(**SMALL), tmp_path / str(n), crop_px=56, context=1.75, workers=n
        ).manifest.fingerprint
        for n in (1, 4)
    }
    assert len(prints) == 1


def test_one_store_can_be_pretrained_on_and_another_probed(tmp_path, store, blob_dataset):
    other = pack(blob_dataset(pretrain=9), tmp_path / "other", crop_px=56, context=1.75)
    folder = combine(tmp_path / "both", labelled=store.folder, pretrain=other.folder)
    both = StudyData(folder)
    assert [len(both.store(name)) for name in SMALL] == [9, 5, 3, 3]
    assert both.fingerprint not in (store.manifest.fingerprint, other.manifest.fingerprint)


def test_stores_of_different_crops_are_not_combined(tmp_path, store, blob_dataset):
    other = pack(blob_dataset(pretrain=9), tmp_path / "other", crop_px=48, context=1.75)
    with pytest.raises(InputError, match="expected stores of the same crops"):
        combine(tmp_path / "both", labelled=store.folder, pretrain=other.folder)


def test_the_rule_of_the_boxes_is_in_manifest_recipe_and_fingerprint(tmp_path, blob_dataset):
    stores = {
        rule: pack(blob_dataset(**SMALL), tmp_path / rule, crop_px=56, context=1.75, crop=rule)
        for rule in ("published", "extent")
    }
    manifests = [store.manifest for store in stores.values()]
    assert [manifest.boxes for manifest in manifests] == ["published", "extent"]
    assert len({manifest.recipe for manifest in manifests}) == 2
    assert len({manifest.fingerprint for manifest in manifests}) == 2
    with pytest.raises(DataError, match="with other settings"):
        pack(blob_dataset(**SMALL), tmp_path / "extent", crop_px=56, context=1.75)
    # The published box is larger, so the same hand is smaller in its crop.
    spread = [np.ptp(store.labels["uv"], axis=1).max(axis=1) for store in stores.values()]
    assert (spread[0] < spread[1]).all()


def test_a_store_packed_before_there_was_a_rule_has_boxes_of_the_extent(tmp_path, blob_dataset):
    store = pack(blob_dataset(**SMALL), tmp_path / "s", crop_px=56, context=1.75, crop="extent")
    early = as_early(store)
    assert (early.manifest.rule, early.manifest.boxes) == ("extent", "extent")
    assert verify(early) == []
    (found,) = verify(early, source=blob_dataset(**SMALL))
    assert "earlier version" in found and "crop='extent'" in found


def as_early(store):
    """Rewrite a store's manifest as it was before the rule: without it, sealed without it."""
    path = store.folder / "manifest.json"
    values = json.loads(path.read_text())
    del values["crop"]
    values |= {"recipe": "0" * 32, "digest": ""}
    splits = PackedStore(store.folder).splits
    members = [f"{name} {digest(splits[name].tolist())}" for name in sorted(splits)]
    sizes = (values["crop_px"], float(values["context"]))
    values["fingerprint"] = digest((*sizes, *values["shards"], *members))
    sealed = Manifest.parse(values).model_dump_json(exclude={"digest", "crop"})
    path.write_text(json.dumps(values | {"digest": digest([sealed])}))
    return PackedStore(store.folder)


def test_stores_of_different_rules_are_not_combined_if_joints_define_both(
    tmp_path, store, blob_dataset
):
    packed = pack(blob_dataset(pretrain=9), tmp_path / "o", crop_px=56, context=1.75, crop="extent")
    with pytest.raises(InputError, match=r"published boxes and .* extent boxes.*crop='published'"):
        combine(tmp_path / "both", labelled=store.folder, pretrain=packed.folder)


def test_the_manifest_can_be_read_without_handssl(store):
    manifest = json.loads((store.folder / "manifest.json").read_text())
    shape = np.load(store.folder / "images.npy", mmap_mode="r").shape
    assert shape == (manifest["rows"], 56, 56, 3)


OPEN_LARGE = """
import resource
import sys
from pathlib import Path
from handssl.data.store import PackedStore
from handssl.data.verify import verify

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
split = PackedStore(Path(sys.argv[1])).split("pretrain")
crops = split.crops(split.slots[:3] * 0 + 687_999)
print(len(split), int(crops.sum()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_store_of_688000_samples_opens_without_being_read(tmp_path, blob_dataset):
    """Every array has its full length; the files are sparse, so no disk is filled."""
    count = 688_000
    small = pack(blob_dataset(pretrain=4), tmp_path / "small", crop_px=192, context=1.75)
    folder = tmp_path / "large"
    (folder / "labels").mkdir(parents=True)
    (folder / "splits").mkdir()
    shapes = {name: (array.dtype, array.shape[1:]) for name, array in small.labels.items()}
    for name, (dtype, shape) in shapes.items():
        path = folder / "labels" / f"{name}.npy"
        np.lib.format.open_memmap(path, "w+", dtype, (count, *shape)).flush()
    slots = np.load(folder / "labels" / "slots.npy", mmap_mode="r+")
    slots[:] = np.arange(count)
    slots.flush()
    np.save(folder / "splits" / "pretrain.npy", np.arange(count))
    np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (count, 192, 192, 3)).flush()
    sizes = {"images": count, "rows": count, "splits": {"pretrain": count}}
    manifest = small.manifest.model_copy(update=sizes)
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    told = subprocess.run(
        [sys.executable, "-c", OPEN_LARGE, str(folder)], capture_output=True, text=True, check=True
    )
    samples, total, grown_kb = map(int, told.stdout.split())
    assert (samples, total) == (count, 0)
    assert grown_kb < 200_000
