"""State of a Ray cluster's nodes: which respond, which are draining, which resources are free."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import ray

_ANSWER_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class FreeResources:
    """Number of workers that fit on a cluster.

    Attributes:
        free: Workers that fit now.
        total: Workers that fit once everything else has ended.
    """

    free: int
    total: int


def room(resource: str) -> FreeResources:
    """Count the workers that fit on the nodes that aren't draining.

    Ray notices a killed node only after many seconds and counts its resources until then, so a
    connection to each node is tried.

    Args:
        resource: Resource of which a worker uses one: `CPU` or `GPU`.

    Example:
        >>> room("CPU")  # doctest: +SKIP
        FreeResources(free=2, total=2)
    """
    going, free = draining(), _free_per_node()
    nodes = [n for n in ray.nodes() if n["Alive"] and n["NodeID"] not in going and _answers(n)]
    return FreeResources(
        free=sum(int(free.get(node["NodeID"], {}).get(resource, 0)) for node in nodes),
        total=sum(int(node["Resources"].get(resource, 0)) for node in nodes),
    )


def draining() -> frozenset[str]:
    """Return the ids of the draining nodes, which are about to stop.

    `ray drain-node`, an autoscaler, or SIGTERM to `ray start --block` drain a node; Ray gives it no
    new work.
    """
    # The public node table does not show it; ray.train's watcher uses the same function.
    return frozenset(ray._private.state.state.get_draining_nodes())


def this_node() -> str:
    """Return the id of the node this process runs on."""
    return str(ray.get_runtime_context().get_node_id())


def _free_per_node() -> dict[str, dict[str, float]]:
    free: dict[str, dict[str, float]] = ray._private.state.available_resources_per_node()
    return free


def _answers(node: dict[str, Any]) -> bool:
    """Return whether a node's daemon accepts connections; a killed one refuses them."""
    address = (node["NodeManagerAddress"], node["NodeManagerPort"])
    try:
        with socket.create_connection(address, timeout=_ANSWER_TIMEOUT_S):
            return True
    except OSError:
        return False
