"""A raylet that is killed alone, on nodes with caches of their own that are empty at first."""

from __future__ import annotations

import pytest

from tests.execution.driving import (
    Driver,
    folder_of,
    history,
    is_copy,
    is_notice,
    mlflow_steps,
    together,
)

EPOCHS, STEPS = 14, 6
# tests/execution/train/test_nodes.py kills whole nodes, of which a raylet is a part
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(together(EPOCHS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(cluster, run, tmp_path_factory):
    storage = tmp_path_factory.mktemp("undisturbed")
    with Driver(cluster, run, storage, workers=2, precision="float64") as driver:
        assert driver.finish()["outcome"] == ["completed"]
    return storage


@pytest.fixture(scope="module")
def hurt(cluster, run, undisturbed, tmp_path_factory):
    """Kill a raylet alone: its worker may go on for a while, or be lost."""
    storage = tmp_path_factory.mktemp("hurt")
    (storage / "places.yaml").write_text(f"cache: {storage}/node-$HANDSSL_TEST_NODE\n")
    with Driver(cluster, run, storage, workers=2, precision="float64") as driver:
        driver.until_step(2, 2)
        cluster.kill_raylet(cluster.nodes_with("RayTrainWorker", 2)[0])
        assert driver.finish()["outcome"] == ["completed"]
    return storage, driver.events


def test_it_changes_no_number_and_costs_an_epoch_at_most(hurt, undisturbed):
    storage, events = hurt
    assert history(storage) == history(undisturbed)
    assert all(event["again"] <= STEPS for event in events if is_notice(event))
    assert sorted(mlflow_steps(storage)) == list(range(1, EPOCHS + 1))
    assert {p.name for p in folder_of(storage).rglob("*")} == {
        p.name for p in folder_of(undisturbed).rglob("*")
    }


def test_every_node_with_a_worker_copies_the_data_once_and_tells_how_long_it_took(hurt):
    storage, events = hurt
    caches = list(storage.glob("node-*/procedural-*/manifest.json"))
    copied = [event["text"] for event in events if is_copy(event)]
    assert 2 <= len(caches) <= 3
    assert len(copied) == len(caches)
    assert all(text.endswith(" s") and " GB in " in text for text in copied)
