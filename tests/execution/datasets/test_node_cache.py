"""Packed stores on a node's own disk: copied once, resumed, verified, evicted, on real nodes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from handssl.data.packing import pack
from handssl.data.store import PackedStore
from handssl.errors import DataError, InputError
from handssl.execution.datasets import node_cache, store_source
from handssl.execution.datasets.cluster_data import ClusterDataConfig, find_site
from handssl.execution.datasets.node_cache import NodeCache
from handssl.execution.datasets.staging import located
from handssl.execution.datasets.store_source import StoreSource
from handssl.ledger import Ledger
from tests.execution.clusters import local_cluster
from tests.execution.scripted_driver import sweeper

ROOT = Path(__file__).parents[3]
TINY = {
    "epochs": 2,
    "global_batch": 32,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
    "optimizer": {"warmup_epochs": 1},
}


def release():
    """Release the stores that this process has read, as its end does."""
    while node_cache._in_use:
        node_cache._in_use.popitem()[1].close()


@pytest.fixture
def store(blob_data):
    return PackedStore(blob_data)


@pytest.fixture(autouse=True)
def nothing_in_use():
    yield
    release()


def ensure(cache: NodeCache, store: PackedStore, name: str = "s", url: str | None = None):
    told = []
    source = StoreSource(url or str(store.folder))
    return cache.ensure(name, source, store.manifest.fingerprint, told.append), told


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_store_is_copied_once_and_reported_with_its_time(tmp_path, store, scheme):
    cache = NodeCache(tmp_path)
    folder, told = ensure(cache, store, url=f"{scheme}{store.folder}")
    assert PackedStore(folder).manifest == store.manifest
    assert told[0].startswith("copied s to this node: 0.00 GB in ")
    assert ensure(cache, store, url="nowhere://at/all") == (folder, [])


def test_a_copy_that_was_killed_goes_on_where_it_was(tmp_path, store, monkeypatch):
    program = """
import os, signal, sys
from handssl.execution.datasets import node_cache, store_source
from handssl.execution.datasets.store_source import StoreSource

write = store_source._append
def cut_off(source, name, start, sink):
    if name != "images.npy":
        return write(source, name, start, sink)
    sink.write(open(source.url + "/images.npy", "rb").read(1000))
    sink.flush()
    os.kill(os.getpid(), signal.SIGKILL)
store_source._append = cut_off
cache = node_cache.NodeCache(__import__("pathlib").Path(sys.argv[1]))
cache.ensure("s", StoreSource(sys.argv[2]), sys.argv[3], print)
"""
    words = [sys.executable, "-c", program, str(tmp_path), str(store.folder)]
    done = subprocess.run([*words, store.manifest.fingerprint], cwd=ROOT, timeout=60)
    assert done.returncode == -9
    part = tmp_path / "s.part" / "images.npy.copying"
    assert part.stat().st_size == 1000
    starts, write = {}, store_source._append

    def note(source, name, start, sink):
        starts[name] = start
        write(source, name, start, sink)

    monkeypatch.setattr(store_source, "_append", note)
    folder, _ = ensure(NodeCache(tmp_path), store)
    assert starts["images.npy"] == 1000
    assert "damaged.txt" not in starts  # it was whole
    assert PackedStore(folder).manifest == store.manifest


def test_processes_that_want_a_store_at_once_copy_it_once(tmp_path, store):
    program = """
import sys
from pathlib import Path
from handssl.execution.datasets.node_cache import NodeCache
from handssl.execution.datasets.store_source import StoreSource

print("ready", flush=True)
sys.stdin.readline()
NodeCache(Path(sys.argv[1])).ensure("s", StoreSource(sys.argv[2]), sys.argv[3], print)
"""
    words = [sys.executable, "-c", program, str(tmp_path), str(store.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    fingerprint = store.manifest.fingerprint
    processes = [subprocess.Popen([*words, fingerprint], **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(map(bool, told)) == [False, False, True]


def test_the_store_read_longest_ago_goes_first_and_one_in_use_never(tmp_path, store):
    size = sum(StoreSource(str(store.folder)).files().values())
    cache = NodeCache(tmp_path, most_bytes=int(2.5 * size))
    for number, name in enumerate(("old", "new")):
        folder, _ = ensure(cache, store, name)
        os.utime(folder.with_name(f"{name}.used"), (number, number))
    release()  # as the end of a process does
    ensure(cache, store, "third")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["new", "third"]
    ensure(cache, store, "new")  # read by this process from now on, as the third is
    with pytest.raises(DataError, match="raise cache_bytes"):
        ensure(cache, store, "fourth")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["new", "third"]


def test_another_store_or_a_damaged_one_is_refused_and_not_kept(tmp_path, store, blob_dataset):
    other = pack(
        blob_dataset(pretrain=20, probe=16, select=16, test=16),
        tmp_path / "other",
        crop_px=56,
        context=1.75,
    )
    with pytest.raises(DataError, match="another fingerprint"):
        ensure(NodeCache(tmp_path / "cache"), store, url=str(other.folder))
    images = other.folder / "images.npy"
    content = bytearray(images.read_bytes())
    content[-1] ^= 255
    images.write_bytes(content)
    with pytest.raises(DataError, match="crops or labels were changed"):
        ensure(NodeCache(tmp_path / "cache"), PackedStore(other.folder))
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_source_that_is_not_there_or_a_disk_that_is_full_is_said(tmp_path, store, monkeypatch):
    with pytest.raises(DataError, match="expected a packed store"):
        ensure(NodeCache(tmp_path), store, url=str(tmp_path / "nothing"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("handssl.execution.datasets.store_source._append", full)
    with pytest.raises(DataError, match=r"No space left.*what is copied is kept"):
        ensure(NodeCache(tmp_path), store)


def test_places_are_read_strictly(tmp_path, monkeypatch):
    monkeypatch.delenv("HANDSSL_PLACES", raising=False)
    assert find_site(tmp_path) is None
    (tmp_path / "places.yaml").write_text("cache: /local\ncache_bytes: 2 TB\n")
    assert find_site(tmp_path) == ClusterDataConfig(cache="/local", cache_bytes=2 * 10**12)
    (tmp_path / "places.yaml").write_text("cach: /local\n")
    with pytest.raises(InputError, match="did you mean 'cache'"):
        find_site(tmp_path)
    monkeypatch.setenv("HANDSSL_PLACES", str(tmp_path / "none.yaml"))
    with pytest.raises(InputError, match="HANDSSL_PLACES"):
        find_site(tmp_path)
    with pytest.raises(InputError, match="200GB"):
        ClusterDataConfig.parse({"cache_bytes": "much"})


def test_without_a_cache_every_node_reads_the_folder_itself(blob_data):
    assert located(blob_data, None).stores == ()
    assert (
        located(blob_data, ClusterDataConfig(stores={"blobs": str(blob_data)})).here(print)
        == blob_data
    )


def test_a_trial_does_not_train_on_data_that_were_packed_again_meanwhile(tmp_path, blob_dataset):
    def packed(**sizes):
        small = {"probe": 16, "select": 16, "test": 16} | sizes
        return pack(blob_dataset(**small), tmp_path / "s", crop_px=56, context=1.75).folder

    place = located(packed(pretrain=20), None)
    shutil.rmtree(tmp_path / "s")
    packed(pretrain=24)
    with pytest.raises(DataError, match=r"expected the data .* it was packed again meanwhile"):
        place.here(print)


@pytest.mark.faults
@pytest.mark.long
def test_each_node_of_a_cluster_copies_once_and_the_numbers_stay_the_same(tmp_path, blob_data):
    study = {
        "name": "cached",
        "cells": [{"composition": name} for name in ("rotate", "blur", "noise", "none")],
        "halving": None,
        "references": False,
        "pretrain": TINY,
    }
    found = {}
    with local_cluster(2) as cluster:
        for name in ("plain", "cached"):
            storage = tmp_path / name
            storage.mkdir()
            if name == "cached":
                site = {"cache": f"{tmp_path}/node-$HANDSSL_TEST_NODE", "cache_bytes": "1GB"}
                (storage / "places.yaml").write_text(yaml.safe_dump(site))
            where = {"address": cluster.address}
            options = {"env": cluster.env, "cwd": cluster.folder, "options": where}
            with sweeper(study, storage, blob_data, **options) as driver:
                driver.finish()
                told = [event["text"] for event in driver.events if "text" in event]
            found[name] = {
                record.trial_id: (record.outcome, record.metrics["median_mm"])
                for record in Ledger(storage).all()
            }
    assert found["plain"] == found["cached"]
    assert {outcome for outcome, _ in found["cached"].values()} == {"completed"}
    fingerprint = PackedStore(blob_data).manifest.fingerprint
    for node in (1, 2):
        copied = tmp_path / f"node-{node}" / f"blobs-{fingerprint[:16]}"
        assert PackedStore(copied).manifest.fingerprint == fingerprint
    said = [text for text in told if text.startswith("copied blobs-")]
    assert len(said) == 2
    assert all("GB in" in text for text in said)
