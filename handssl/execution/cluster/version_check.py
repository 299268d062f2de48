"""Check before a trial starts that every node has the same code and libraries.

Code is compared by the digest of its files, since two commits may have the same version.
"""

from __future__ import annotations

import platform
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from handssl.errors import OtherCodeError
from handssl.runtime.installation import digest_of, version_label

_ANSWER_S = 60.0
_REINSTALL = 'pip install --force-reinstall --no-deps "$(ls -t dist/handssl-*.whl | head -1)"'
_PIP = {"torch": "torch", "numpy": "numpy", "opencv": "opencv-python-headless"}


@dataclass(frozen=True)
class Versions:
    """Versions of code and libraries of a process. All but the label must be equal on all nodes.

    Attributes:
        label: Version of the installed handssl; shown, never compared.
        code: Digest of the files of handssl, see `handssl.runtime.installation`.
        numerics: `NUMERICS_VERSION`, a part of every trial's identity.
        torch: Version, without the CPU or CUDA build: a head often has no GPU.
        numpy: Version of NumPy.
        opencv: Version of OpenCV; another one may round pixels differently.
        python: Major and minor version of Python.
    """

    label: str
    code: str
    numerics: str
    torch: str
    numpy: str
    opencv: str
    python: str

    def require(self, other: Versions, node: str) -> None:
        """Check that a node has the same code and libraries.

        Args:
            other: Versions of the node.
            node: Name of the node.

        Raises:
            OtherCodeError: They differ; the message lists the differences and commands to fix them.

        Example:
            >>> mine = versions()
            >>> mine.require(mine, "gpu1")
        """
        names = [field.name for field in fields(self) if field.name != "label"]
        different = [name for name in names if getattr(self, name) != getattr(other, name)]
        if different:
            lines = [f"  {self._describe(name, other)}" for name in different]
            head = f"node {node} differs from the driver, so no trial is started on it:"
            raise OtherCodeError("\n".join([head, *lines, *self._mending(different, node)]))

    def _describe(self, name: str, other: Versions) -> str:
        mine, theirs = getattr(self, name), getattr(other, name)
        if name == "code":
            mine, theirs = f"{mine} ({self.label})", f"{theirs} ({other.label})"
        named = {"code": "code of handssl", "numerics": "NUMERICS_VERSION"}.get(name, name)
        return f"{named}: expected {mine}, got {theirs}"

    def _mending(self, different: list[str], node: str) -> Iterator[str]:
        if "code" in different or "numerics" in different:
            yield "build a wheel of the driver's code, in its checkout:"
            yield "  python -m pip wheel --no-deps -w dist ."
            yield f"copy dist to {node} and install it there; `ray up` does both:"
            yield f"  {_REINSTALL}"
        if "python" in different:
            yield f"create an environment with Python {self.python} on {node}"
        if pins := [f"'{_PIP[n]}=={getattr(self, n)}.*'" for n in different if n in _PIP]:
            yield f"on {node}:"
            yield f"  pip install {' '.join(pins)}"


@cache
def versions() -> Versions:
    """Return the versions of this process, as of the first call."""
    return Versions(**_collect()[1])


def require_same_everywhere() -> None:
    """Check the versions of every other node of the cluster that this process is connected to.

    Starting a process takes seconds, so this node is not checked here: its trials check before they
    start, like those on nodes that join later.

    Raises:
        OtherCodeError: A node has other code or libraries, or none.
    """
    mine = versions()
    here = ray.get_runtime_context().get_node_id()
    others = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
    asked = [_ask(node) for node in others]
    done, _ = ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_S) if asked else ([], [])
    for answer in done:  # a node that does not answer may be stopping; it starts no trial then
        try:
            name, theirs = ray.get(answer)
        except ray.exceptions.RayError:
            continue
        mine.require(Versions(**theirs), name)


def _ask(node: str) -> Any:
    where = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(num_cpus=0, scheduling_strategy=where, max_retries=0)(_collect)
    with _by_value():
        return task.remote()


@contextmanager
def _by_value() -> Iterator[None]:
    """Pickle functions by value: the package on the node may be different or missing."""
    modules = (sys.modules[__name__], sys.modules[digest_of.__module__])
    for module in modules:
        ray.cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            ray.cloudpickle.unregister_pickle_by_value(module)


def _collect() -> tuple[str, dict[str, str]]:
    """Return the name of this node, and the versions of a process there."""
    return socket.gethostname(), {
        "label": version_label(),
        "code": digest_of(("handssl", "tune_spaces")),
        "numerics": _value("handssl.study.identity", "NUMERICS_VERSION"),
        "torch": _value("torch", "__version__"),
        "numpy": _value("numpy", "__version__"),
        "opencv": _value("cv2", "__version__"),
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def _value(module: str, name: str) -> str:
    """Return a value of a module, without the local part of a version, such as `+cu126`."""
    try:
        return str(getattr(import_module(module), name)).partition("+")[0]
    except Exception:  # it is missing, broken, or too old to have it
        return "none"
