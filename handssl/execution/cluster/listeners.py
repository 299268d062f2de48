"""Ports on which a process and its children listen, and whether other machines can reach them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import psutil


@dataclass(frozen=True, order=True)
class Listener:
    """A TCP port that a process listens on.

    Attributes:
        address: IP address; `0.0.0.0` and `::` mean all addresses of this machine.
        port: Port number.
        program: Name of the process.
    """

    address: str
    port: int
    program: str

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it.

        Example:
            >>> [Listener(one, 1, "").is_local for one in ("::ffff:127.0.0.1", "::1", "::")]
            [True, True, False]
        """
        found = ip_address(self.address)
        mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
        return (mapped or found).is_loopback


def listeners(*roots: psutil.Process) -> tuple[Listener, ...]:
    """Return the ports of processes and all their descendants, sorted."""
    found: set[Listener] = set()
    for root in roots:
        with suppress(psutil.Error):  # it has ended
            for process in (root, *root.children(recursive=True)):
                found.update(_of(process))
    return tuple(sorted(found))


def _of(process: psutil.Process) -> Iterator[Listener]:
    with suppress(psutil.Error):  # it has ended, or is another user's
        name = _name(process)
        for one in process.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN:
                yield Listener(one.laddr.ip, one.laddr.port, name)


def _name(process: psutil.Process) -> str:
    """Return the name of a process: its module or script if it is a Python process."""
    words = process.cmdline()
    if words and "python" in words[0].rpartition("/")[2]:
        scripts = [word for word in words[1:] if not word.startswith("-")]
        return scripts[0].rpartition("/")[2] if scripts else "python"
    return str(process.name()).removeprefix("ray::")


def described(found: Iterable[Listener]) -> str:
    """Describe listeners in one line, those that the network can reach first.

    Example:
        >>> described([Listener("127.0.0.1", 10, "a"), Listener("::1", 20, "a")])
        'on this machine alone: a 10 20'
        >>> described([Listener("::", 30, "b"), Listener("127.0.0.1", 10, "a")])
        'open to the network: b [::]:30; on this machine alone: a 10'
    """
    found = tuple(found)
    far = [f"{one.program} {_shown(one)}" for one in found if not one.is_local]
    near: dict[str, list[str]] = {}
    for one in found:
        if one.is_local:
            near.setdefault(one.program, []).append(str(one.port))
    here = [" ".join([name, *ports]) for name, ports in near.items()]
    parts = {"open to the network": far, "on this machine alone": here}
    return "; ".join(f"{name}: {', '.join(which)}" for name, which in parts.items() if which)


def how_to_close(found: Iterable[Listener]) -> str:
    """Return a command that blocks open ports for other machines; empty if none is open.

    Example:
        >>> print(how_to_close([Listener("0.0.0.0", 30, "b"), Listener("127.0.0.1", 10, "a")]))
        for t in iptables ip6tables; do $t -I INPUT ! -i lo -p tcp --dport 30 -j DROP; done
    """
    ports = sorted({one.port for one in found if not one.is_local})
    if not ports:
        return ""
    named = ",".join(map(str, ports))
    match = f"--dport {named}" if len(ports) == 1 else f"-m multiport --dports {named}"
    return f"for t in iptables ip6tables; do $t -I INPUT ! -i lo -p tcp {match} -j DROP; done"


def _shown(one: Listener) -> str:
    return f"[{one.address}]:{one.port}" if ":" in one.address else f"{one.address}:{one.port}"
