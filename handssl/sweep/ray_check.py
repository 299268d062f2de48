"""Whether a Ray can be used: a task in it says which versions it has."""

from __future__ import annotations

import logging
import os
import platform
from typing import Any

import psutil
import ray

from handssl.sweep.listeners import described, how_to_close, listeners
from handssl.sweep.local_ray import ray_cluster

_TASK_S = 60.0


def look(address: str | None) -> dict[str, Any]:
    """Run a task in a cluster, or in a Ray started here with one CPU and ended afterwards.

    Call it in a process of its own: Ray can wait long, or end the process, where it cannot connect.

    Args:
        address: Of the head, `host:port` or `auto`; None: one is started.

    Returns:
        ray, python: versions where the task ran. nodes, cpus, gpus. token: whether the cluster asks
        for one. listens, close: of one that is started, where it listens, and the command that
        closes what the network could reach, empty if nothing is.
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
        # Ray sets it itself where a new cluster, or a token that is there, turns it on.
        "token": os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
    }


def _versions() -> dict[str, Any]:
    return {"ray": ray.__version__, "python": platform.python_version()}
