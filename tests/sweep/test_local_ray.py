"""The Ray of a sweep: asks for its token, and is gone afterwards."""

import os
import subprocess
import sys

import psutil
import pytest
import ray

from handssl.sweep.local_ray import ray_cluster

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
