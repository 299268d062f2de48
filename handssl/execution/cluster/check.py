"""Check that a Ray cluster works, by a task that returns its versions."""

from __future__ import annotations

import logging
import os
import platform
from typing import Any

import psutil
import ray

from handssl.execution.cluster.listeners import described, how_to_close, listeners
from handssl.execution.cluster.local_ray import ray_cluster

_TASK_S = 60.0


def check_ray(address: str | None) -> dict[str, Any]:
    """Run a task in a cluster, or in a Ray started here with one CPU and stopped afterwards.

    Call it in a separate process: if Ray cannot connect, it may wait long or end the process.

    Args:
        address: Address of the head, `host:port` or `auto`; None: start a Ray.

    Returns:
        ray, python: versions where the task ran. nodes, cpus, gpus: numbers of each. token: whether
        the cluster requires one. listens, close: for a Ray started here, the ports it listens on,
        and the command that blocks those open to the network; empty if none is.
    """
    if address is not None:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        try:
            return _facts()
        finally:
            ray.shutdown()
    with ray_cluster(cpus=1):
        facts, found = _facts(), listeners(psutil.Process())
        return facts | {"listens": described(found), "close": how_to_close(found)}


def _facts() -> dict[str, Any]:
    versions: dict[str, Any] = ray.get(ray.remote(num_cpus=0)(_versions).remote(), timeout=_TASK_S)
    there = ray.cluster_resources()
    return versions | {
        "nodes": sum(bool(node["Alive"]) for node in ray.nodes()),
        "cpus": there.get("CPU", 0.0),
        "gpus": there.get("GPU", 0.0),
        # Ray sets the variable itself if a new cluster or an existing token enables tokens.
        "token": os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
    }


def _versions() -> dict[str, Any]:
    return {"ray": ray.__version__, "python": platform.python_version()}
