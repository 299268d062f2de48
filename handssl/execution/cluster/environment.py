"""Environment of a local Ray: temporary folder, token and loopback address."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray._private import ray_constants

from handssl.execution.cluster.ray_folder import make_ray_folder, ray_temp

# Meant for firewalls of macOS and Windows. Without it Ray replaces 127.0.0.1 by the address
# on the network (`ray._private.services.resolve_ip_for_localhost`) and listens on all interfaces.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
if Path("/sys/class/net/lo").exists():
    LOOPBACK |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}  # for a trial's workers
_MODE, _TOKEN, _FILE = _SECURITY = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextmanager
def own_ray() -> Iterator[Path]:
    """Make a Ray started in the block reachable only from this machine, and only with a token.

    Afterwards the environment is restored and the folder removed.

    Yields:
        Temporary folder for Ray.

    Raises:
        InputError: No suitable location for the folder was found.
    """
    folder = make_ray_folder()
    try:
        with _environment(LOOPBACK | _token(folder)), on_loopback():
            yield ray_temp(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _token(folder: Path) -> dict[str, str]:
    """Return variables for a token in the folder, unless the user has disabled tokens.

    By default Ray keeps its token in the home folder, which is not always writable.
    """
    if os.environ.get(_MODE, "token").lower() != "token":
        return {}
    file = folder / "token"
    file.touch(mode=0o600)
    file.write_text(secrets.token_hex(32))
    return {_MODE: "token", _FILE: str(file), _TOKEN: ""}


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables, have Ray read them, and restore them afterwards."""
    before = {name: os.environ.get(name) for name in (*values, *_SECURITY)}
    os.environ.update(values)
    _read_again()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
        _read_again()


def _read_again() -> None:
    ray._raylet.Config.initialize("")
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def on_loopback() -> Iterator[None]:
    """Let Ray in this process use 127.0.0.1 unchanged; its children read `LOOPBACK`."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def is_loopback(address: str) -> bool:
    """Return whether a cluster's address is on this machine's loopback interface.

    Example:
        >>> [is_loopback(one) for one in ("127.0.0.1:6379", "[::1]:6379", "auto", "head:6379")]
        [True, True, False, False]
    """
    return address.rpartition(":")[0].strip("[]") in ("127.0.0.1", "::1", "localhost")
