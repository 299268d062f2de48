"""The Ray of a sweep: asks for its token, and is gone afterwards."""

import os
import subprocess
import sys

import psutil
import pytest
import ray

from handssl.errors import InputError
from handssl.execution.cluster.local_ray import GROWS_TO, ray_cluster
from handssl.planning.execution_options import ExecutionOptions

pytestmark = pytest.mark.faults

STRANGER = """
import sys
import ray

ray.init(address=sys.argv[1], log_to_driver=False)
print("let in")
"""


@pytest.mark.timeout(180)
def test_a_sweeps_ray_lets_nobody_in_without_its_token_and_leaves_no_process():
    before = set(psutil.Process().children(recursive=True))
    with ray_cluster() as cluster:
        assert cluster.owned
        address = ray.get_runtime_context().gcs_address
        started = set(psutil.Process().children(recursive=True)) - before
        outcomes = {}
        for mode in ("disabled", "token"):
            done = subprocess.run(
                [sys.executable, "-c", STRANGER, address],
                env={**os.environ, "RAY_AUTH_MODE": mode, "RAY_USAGE_STATS_ENABLED": "0"},
                capture_output=True,
                text=True,
                timeout=80,
            )
            outcomes[mode] = "let in" in done.stdout, "authentication" in done.stderr.lower()
    assert started
    assert outcomes["disabled"] == (False, True)
    assert outcomes["token"][0]
    assert not [process for process in started if process.is_running()]


@pytest.fixture
def head_alone(monkeypatch):
    """A Ray cluster whose workers have all gone: a head without CPUs and GPUs is left."""
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"memory": 1.0, "node:head": 1.0})
    for name in GROWS_TO.values():
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_trials_ask_for_the_gpus_that_a_cluster_may_grow_to(head_alone):
    with ray_cluster() as cluster:
        assert (cluster.slots, cluster.gpus) == (1, 0.0)
    head_alone.setenv("HANDSSL_CLUSTER_CPUS", "16")
    head_alone.setenv("HANDSSL_CLUSTER_GPUS", "2")
    with ray_cluster(options=ExecutionOptions(trials_per_gpu=4)) as cluster:
        assert (cluster.slots, cluster.cpus, cluster.gpus) == (8, 2, 0.25)
    with ray_cluster(options=ExecutionOptions(workers=2)) as cluster:
        assert (cluster.slots, cluster.workers, cluster.gpus) == (1, 2, 1.0)


def test_what_is_there_counts_when_it_is_more_than_was_promised(head_alone):
    head_alone.setattr(ray, "cluster_resources", lambda: {"CPU": 32.0, "GPU": 4.0})
    head_alone.setenv("HANDSSL_CLUSTER_GPUS", "2")
    with ray_cluster(options=ExecutionOptions(trials_per_gpu=4)) as cluster:
        assert (cluster.slots, cluster.cpus) == (16, 2)


def test_a_promise_that_is_no_number_is_refused_with_its_name(head_alone):
    head_alone.setenv("HANDSSL_CLUSTER_GPUS", "many")
    with pytest.raises(InputError, match=r"\$HANDSSL_CLUSTER_GPUS: .*got 'many'"), ray_cluster():
        raise AssertionError("it was taken")
