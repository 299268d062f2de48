"""Where a service and all that it starts listen."""

from __future__ import annotations

import contextlib
import re

import psutil
import pytest

from tests.execution.cluster.test_environment import is_loopback
from tests.service.lab import lab, short_study

# Ports that other machines can reach: none. Ray and its parts, MLflow, service, driver, trials.
OPEN_TO_THE_NETWORK: set[tuple[str, int]] = set()
RAY_CLIENT = 10001


@pytest.mark.faults
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_service_and_its_ray_and_mlflow_listen_on_this_machine_alone_and_say_so(tmp_path):
    far, near = set[tuple[str, int]](), dict[int, str]()

    def look() -> None:
        for one in of.marked():
            with contextlib.suppress(psutil.Error):
                for port in one.net_connections("inet"):
                    if port.status == psutil.CONN_LISTEN and is_loopback(port.laddr.ip):
                        near[port.laddr.port] = one.name()
                    elif port.status == psutil.CONN_LISTEN:
                        far.add((one.name(), port.laddr.port))

    def is_over() -> bool:
        look()
        return of.queue.get(job).is_over

    with lab(tmp_path / "runs") as of:
        of.until(lambda: "\nray: http" in of.log() and "\nmlflow: http" in of.log(), "programs")
        [job] = of.submit([short_study(1)])
        of.until(is_over, "job")
        assert of.queue.get(job).state == "succeeded", of.log()
        log = of.log()
    assert far == OPEN_TO_THE_NETWORK
    assert {"gcs_server", "raylet"} <= set(near.values())
    assert RAY_CLIENT not in near
    [said] = re.findall(r"^listens (.*)$", log, re.M)
    assert said.startswith("on this machine alone: ")
    assert f" {of.port}" in said
    assert "gcs_server" in said
