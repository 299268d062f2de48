"""How a service is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from handssl.service.admission import Limits
from handssl.service.lease import LEASE_S
from handssl.service.policy import Policy


@dataclass(frozen=True)
class Options:
    """How a service is started.

    Attributes:
        storage: Folder of the results, on a disk that the head sees.
        database: URL of the queue.
        host: Where it listens.
        port: Likewise.
        ray: `local` starts one here, `auto` finds one on this machine, else a dashboard's URL.
        mlflow: `local` starts a server here, else its URL.
        mlflow_host: Where our own MLflow listens; away from loopback it wants a password.
        limits: How much runs at the same time.
        policy: What studies may name.
        lease_s: A stand-by takes over at most so long after the dispatcher has died.
        cpus: Of our own Ray; None: all.
    """

    storage: Path
    database: str
    host: str = "127.0.0.1"
    port: int = 8642
    ray: str = "local"
    mlflow: str = "local"
    mlflow_host: str = "127.0.0.1"
    limits: Limits = field(default_factory=Limits)
    policy: Policy = field(default_factory=Policy)
    lease_s: float = LEASE_S
    cpus: int | None = None

    @property
    def folder(self) -> Path:
        """Where the service keeps what is its own."""
        return self.storage / "service"
