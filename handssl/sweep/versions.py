"""The same handssl on every node: checked before a trial starts."""

from __future__ import annotations

import platform
import socket
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from handssl.errors import InputError

_ANSWER_S = 60.0


@dataclass(frozen=True)
class Versions:
    """What a process runs with.

    Attributes:
        handssl: Of the package.
        torch: Likewise, whether built for GPUs or not: a head often has none.
        python: Major and minor.
    """

    handssl: str
    torch: str
    python: str

    def require(self, other: Versions, node: str) -> None:
        """Refuse a node that has others.

        Args:
            other: Of the node.
            node: Its name.

        Raises:
            InputError: They differ; the command that mends it is said.

        Example:
            >>> Versions("1.0", "2.15", "3.11").require(Versions("0.9", "2.15", "3.11"), "gpu1")
            Traceback (most recent call last):
            handssl.errors.InputError: node gpu1: expected handssl 1.0, got 0.9; there: pip ...
        """
        mine, theirs = vars(self), vars(other)
        different = [name for name in mine if mine[name] != theirs[name]]
        if different:
            wants = ", ".join(f"{name} {mine[name]}" for name in different)
            has = ", ".join(theirs[name] for name in different)
            mend = f"pip install handssl=={self.handssl} torch=={self.torch}"
            raise InputError(f"node {node}: expected {wants}, got {has}; there: {mend}")


def versions() -> Versions:
    """Return those of this process."""
    major, minor, _ = platform.python_version_tuple()
    return Versions(version("handssl"), _public(version("torch")), f"{major}.{minor}")


def _public(text: str) -> str:
    return text.partition("+")[0]


def require_same_everywhere() -> None:
    """Ask every other node of the cluster that this process is connected to.

    A process costs seconds, so this node is not asked: its trials compare before they start.

    Raises:
        InputError: One of them has other versions, or none.
    """
    mine = versions()
    here = ray.get_runtime_context().get_node_id()
    others = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
    asked = [_ask(node) for node in others]
    done, _ = ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_S) if asked else ([], [])
    for answer in done:  # a node that does not answer may be going; it starts no trial then
        try:
            name, theirs = ray.get(answer)
        except ray.exceptions.RayError:
            continue
        mine.require(Versions(**theirs), name)


def _ask(node: str) -> Any:
    def tell() -> tuple[str, dict[str, str]]:
        # A local function travels by value: the package there may be another, or missing.
        found = {}
        for name in ("handssl", "torch"):
            try:
                found[name] = version(name).partition("+")[0]
            except ImportError:
                found[name] = "none"
        major, minor, _ = platform.python_version_tuple()
        return socket.gethostname(), {**found, "python": f"{major}.{minor}"}

    where = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=where, max_retries=0)(tell).remote()
