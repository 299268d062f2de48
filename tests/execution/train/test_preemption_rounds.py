"""Every fault many times at random moments; prints a table, and writes it where it is told to.

HANDSSL_FAULT_ROUNDS: rounds of each fault, 20 by default. HANDSSL_FAULT_TABLE: a Markdown file.
Moments are drawn in events, an epoch and a step of it, from a seed: no clock decides.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from handssl.training.checkpoints import CheckpointFolder
from tests.execution.clusters import wait_until
from tests.execution.driving import Driver, folder_of, history, is_notice, mlflow_steps, together

ROUNDS = int(os.environ.get("HANDSSL_FAULT_ROUNDS", "20"))
HITS_PER_RUN, EPOCHS, STEPS = 5, 48, 6
HEAD = (
    "| fault | rounds | steps made again: mean | most | epochs at most | runs | the same bits | "
    "MLflow once |\n|---|---|---|---|---|---|---|---|"
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(together(EPOCHS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(cluster, run, tmp_path_factory):
    storage = tmp_path_factory.mktemp("undisturbed")
    with Driver(cluster, run, storage, workers=2) as driver:
        driver.finish()
    return history(storage)


@pytest.fixture(scope="module")
def table():
    rows = [HEAD]
    yield rows
    print("\n" + "\n".join(rows))


class Hurt:
    """A run that is hit again and again by one fault."""

    def __init__(self, cluster, run, storage, fault):
        self.cluster, self.run, self.storage = cluster, run, storage
        self.hit = getattr(self, fault)
        self.driver = Driver(cluster, run, storage, workers=2)

    def live(self, moments, hits):
        """Return the steps that were made again after each hit."""
        again, epoch = [], 0
        try:
            for _ in range(hits):
                epoch = max(epoch, self.driver.epoch) + moments.randint(1, 3)
                self.driver.until_step(epoch, moments.randint(1, STEPS - 1))
                again.append(self.hit(moments))
            assert self.driver.finish()["outcome"] == ["completed"]
        finally:
            self.driver.__exit__()
        return again

    def worker(self, moments):
        moments.choice(self.cluster.find("RayTrainWorker", 2)).kill()
        return self.driver.until(is_notice)["again"]

    def sigterm(self, moments):
        moments.choice(self.cluster.find("RayTrainWorker", 2)).terminate()
        return self.driver.until(is_notice)["again"]

    def controller(self, moments):
        self.cluster.find("TrainController")[0].kill()
        return self.driver.until(is_notice)["again"]

    def node(self, moments):
        return self._without(moments, self.cluster.kill_node)

    def raylet(self, moments):
        """A worker may outlive a raylet that is killed alone: then nothing is made again."""
        node = moments.choice(self.cluster.nodes_with("RayTrainWorker", 2))
        self.cluster.kill_raylet(node)
        before = len(self.driver.events)
        self.driver.until_step(self.driver.epoch + 3, 1)
        told = [event["again"] for event in self.driver.events[before:] if is_notice(event)]
        self.cluster.remove(node)
        self.cluster.add(node)
        return max(told, default=0)

    def drain(self, moments):
        return self._without(moments, self.cluster.drain)

    def driver_killed(self, moments):
        self.driver.__exit__()
        gone = lambda: not self.cluster.actors("RayTrainWorker")  # noqa: E731
        wait_until(gone, "workers that outlive their driver")
        state = CheckpointFolder(folder_of(self.storage) / "checkpoints").latest()
        seen = self.driver.steps(STEPS)
        self.driver = Driver(self.cluster, self.run, self.storage, workers=2)
        return max(0, seen - state.training["schedule"]["last_epoch"])

    def _without(self, moments, take):
        """Take a node away, wait until the others go on, and put another in its place."""
        node = moments.choice(self.cluster.nodes_with("RayTrainWorker", 2))
        take(node)
        again = self.driver.until(is_notice)["again"]
        self.cluster.remove(node)
        self.cluster.add(node)
        return again


@pytest.mark.parametrize(
    "fault", ["sigterm", "drain", "worker", "controller", "node", "raylet", "driver_killed"]
)
def test_faults_at_random_moments_change_no_number(
    fault, cluster, run, undisturbed, tmp_path, table
):
    moments, again, equal, once = random.Random(f"rounds of {fault}"), [], 0, 0
    runs = -(-ROUNDS // HITS_PER_RUN)
    for number in range(runs):
        storage, hits = tmp_path / str(number), min(HITS_PER_RUN, ROUNDS - len(again))
        again += Hurt(cluster, run, storage, fault).live(moments, hits)
        equal += history(storage) == undisturbed
        once += sorted(mlflow_steps(storage)) == list(range(1, EPOCHS + 1))
    most = max(again)
    table.append(
        f"| {fault} | {len(again)} | {sum(again) / len(again):.1f} | {most} | {most / STEPS:.2f} | "
        f"{runs} | {equal} | {once} |"
    )
    if target := os.environ.get("HANDSSL_FAULT_TABLE"):
        Path(target).write_text("\n".join(table) + "\n", encoding="utf-8")
    assert (equal, once) == (runs, runs)
    assert most <= (0 if fault in ("sigterm", "drain") else STEPS)
