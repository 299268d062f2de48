"""How a service is started."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from handssl.commands import command
from handssl.secrets import masked_url
from handssl.service.admission import Limits
from handssl.service.lease import LEASE_S
from handssl.service.listening import EVERYWHERE
from handssl.service.policy import Policy
from handssl.tracking.sqlite_url import sqlite_url


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
        mlflow_port: Likewise; None: where it was before, at first one above the service's.
        public_mlflow: URL under which people's browsers find MLflow; empty: where it listens.
        public_ray: Likewise of Ray's dashboard.
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
    mlflow_port: int | None = None
    public_mlflow: str = ""
    public_ray: str = ""
    limits: Limits = field(default_factory=Limits)
    policy: Policy = field(default_factory=Policy)
    lease_s: float = LEASE_S
    cpus: int | None = None

    @property
    def folder(self) -> Path:
        """Where the service keeps what is its own."""
        return self.storage / "service"

    def on_head(self, *words: str) -> str:
        """Return a command for a shell on the head that works on this queue; no password is in it.

        Args:
            words: A verb that takes --storage and --database.
        """
        own = self.database == sqlite_url(self.storage / "service.db")
        known = own or self.database == os.environ.get("HANDSSL_SERVICE_DATABASE")
        where = [] if known else ["--database", masked_url(self.database)]
        return command(*words, *where, storage=self.storage)

    def ray_page(self, url: str) -> str:
        """Return where browsers find the dashboard that answers at a URL; empty if none does."""
        return self.public_ray.rstrip("/") or url

    def mlflow_page(self, url: str) -> str:
        """Return where browsers find the MLflow that drivers find at a URL.

        Example:
            >>> options = Options(Path("runs"), "sqlite://", public_mlflow="https://example.org/")
            >>> options.mlflow_page("http://127.0.0.1:8643")
            'https://example.org'
        """
        is_everywhere = self.mlflow == "local" and self.mlflow_host in EVERYWHERE
        if url and is_everywhere and not self.public_mlflow:
            return f"http://{socket.getfqdn()}:{urlsplit(url).port}"
        return self.public_mlflow.rstrip("/") or url
