"""One run on a cluster of three nodes that is hit by everything in turn; whole, the numbers stay.

Starting a group of workers takes seconds, so that one run tells the whole story, and each test
reads its part.
"""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass, field

import pytest

from tests.execution.clusters import wait_until
from tests.execution.driving import Driver, folder_of, history, is_notice, mlflow_steps, together

EPOCHS, STEPS = 14, 6
OURS = ("RayTrainWorker", "TrainController", "_Line", "PlacementGroupCleaner")
pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@dataclass
class Story:
    """What happened: fault -> the notice that followed, and how long there were two workers."""

    storage: object = None
    notices: dict = field(default_factory=dict)
    outcome: dict = field(default_factory=dict)
    together: int = 0


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
def story(cluster, run, undisturbed, tmp_path_factory):
    told = Story(tmp_path_factory.mktemp("story"))
    with Driver(cluster, run, told.storage, workers=2, precision="float64") as driver:
        driver.until_step(1, 2)
        driver.process.kill()
    with Driver(cluster, run, told.storage, workers=2, precision="float64") as driver:
        hit_with_everything(cluster, driver, told)
        told.outcome = driver.finish()
    wait_until(lambda: not ours(cluster), "actors that outlive their driver")
    return told


def hit_with_everything(cluster, driver, told):
    driver.until_step(3, 2)
    cluster.find("TrainController")[0].kill()
    told.notices["controller"] = driver.until(is_notice)
    driver.until_step(5, 2)
    cluster.find("RayTrainWorker", 2)[1].send_signal(signal.SIGTERM)
    told.notices["sigterm"] = driver.until(is_notice)
    driver.until_step(7, 2)
    cluster.find("RayTrainWorker", 2)[1].kill()
    told.notices["worker"] = driver.until(is_notice)
    driver.until_step(9, 2)
    cluster.kill_node(cluster.nodes_with("RayTrainWorker", 2)[0])
    told.notices["node"] = driver.until(is_notice)
    driver.until_step(11, 2)
    told.together = driver.epoch
    cluster.drain(cluster.nodes_with("RayTrainWorker", 2)[0])
    told.notices["drain"] = driver.until(is_notice)


def ours(cluster):
    return [actor for name in OURS for actor in cluster.actors(name)]


def files(storage):
    return {p.name for p in folder_of(storage).rglob("*")}


@pytest.mark.parametrize("fault", ["controller", "worker", "node"])
def test_a_kill_costs_an_epoch_at_most(story, fault):
    assert "2 continue" in story.notices[fault]["text"]
    assert 0 <= story.notices[fault]["again"] <= STEPS


@pytest.mark.parametrize("fault", ["sigterm", "drain"])
def test_a_notice_costs_no_step(story, fault):
    assert story.notices[fault]["again"] == 0
    assert "a worker was asked to stop" in story.notices[fault]["text"]


def test_a_node_that_is_to_go_gets_no_worker_and_the_run_goes_on_with_fewer(story):
    assert "1 continue" in story.notices["drain"]["text"]


def test_the_numbers_are_those_of_an_undisturbed_run(story, undisturbed):
    assert story.outcome == {"event": "Done", "outcome": ["completed"], "interrupted": False}
    together = story.together  # the epoch that was under way then may be one worker's too
    rows, wanted = history(story.storage), history(undisturbed)
    assert together >= 11
    assert rows[:together] == wanted[:together]
    assert len(rows) == len(wanted) == EPOCHS
    for row, other in zip(rows[together:], wanted[together:], strict=True):
        assert row.keys() == other.keys()
        # Training is in float64, measuring in float32.
        for name in row:
            if name.startswith("train/"):
                assert math.isclose(row[name], other[name], rel_tol=1e-9), name
        assert math.isclose(row["median_mm"], other["median_mm"], rel_tol=1e-4)


def test_every_step_is_in_mlflow_once(story):
    assert sorted(mlflow_steps(story.storage)) == list(range(1, EPOCHS + 1))


def test_no_file_is_left_over(story, undisturbed):
    assert files(story.storage) == files(undisturbed)
