"""The nodes of a Ray cluster as they are now: which answer, which are to go, what is free."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import ray

_ANSWER_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Room:
    """Workers that have room.

    Attributes:
        free: Now.
        total: Once everything else has ended.
    """

    free: int
    total: int


def room(resource: str) -> Room:
    """Count the workers that have room on nodes that stay.

    Ray learns of a killed node after many seconds, and believes until then that its resources are
    there; so each node is asked.

    Args:
        resource: What a worker takes one of: CPU or GPU.

    Example:
        >>> room("CPU")  # doctest: +SKIP
        Room(free=2, total=2)
    """
    going, free = draining(), _free_per_node()
    nodes = [n for n in ray.nodes() if n["Alive"] and n["NodeID"] not in going and _answers(n)]
    return Room(
        free=sum(int(free.get(node["NodeID"], {}).get(resource, 0)) for node in nodes),
        total=sum(int(node["Resources"].get(resource, 0)) for node in nodes),
    )


def draining() -> frozenset[str]:
    """Return the ids of the nodes that were told to end.

    `ray drain-node`, an autoscaler, or SIGTERM to `ray start --block` tell it to Ray, which gives
    such a node no new work.
    """
    # The public node table does not say it; ray.train's watcher asks the same.
    return frozenset(ray._private.state.state.get_draining_nodes())


def this_node() -> str:
    """Return the id of the node this process belongs to."""
    return str(ray.get_runtime_context().get_node_id())


def _free_per_node() -> dict[str, dict[str, float]]:
    free: dict[str, dict[str, float]] = ray._private.state.available_resources_per_node()
    return free


def _answers(node: dict[str, Any]) -> bool:
    """Say whether a node's daemon accepts connections; one that was killed refuses them."""
    address = (node["NodeManagerAddress"], node["NodeManagerPort"])
    try:
        with socket.create_connection(address, timeout=_ANSWER_TIMEOUT_S):
            return True
    except OSError:
        return False
