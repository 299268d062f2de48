"""Options of a service."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from handssl.runtime.secrets import masked_url
from handssl.runtime.shell_commands import command
from handssl.runtime.sqlite_url import sqlite_url
from handssl.service.ports import EVERYWHERE
from handssl.service.queue.admission import Limits
from handssl.service.queue.lease import LEASE_S
from handssl.service.queue.policy import Policy


@dataclass(frozen=True)
class Options:
    """Options with which a service is started.

    Attributes:
        storage: Folder of the results, on a disk that the head sees.
        database: URL of the queue's database.
        host: Address on which the service listens.
        port: Port on which the service listens; 0: any free port.
        ray: `local` starts a Ray here, `auto` finds one on this machine, else a dashboard's URL.
        mlflow: `local` starts a server here, else its URL.
        mlflow_host: Address on which the service's own MLflow listens; other than on loopback it
            requires a password.
        mlflow_port: Port of the service's own MLflow; None: the one it had before, at first the
            one above the service's.
        public_mlflow: URL under which browsers reach MLflow; empty: the one it listens on.
        public_ray: URL under which browsers reach Ray's dashboard; empty: the one it listens on.
        limits: Limits on jobs that run at the same time.
        policy: Files and code that studies may name.
        lease_s: Duration of the dispatcher's lease, seconds: a standby takes over at most this
            long after the dispatcher has failed.
        cpus: Number of CPUs of the service's own Ray; None: all.
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
        """Folder of the service's own files."""
        return self.storage / "service"

    def on_head(self, *words: str) -> str:
        """Return a command for a shell on the head that acts on this queue, without password.

        Args:
            words: A subcommand that takes --storage and --database.
        """
        is_default = self.database == sqlite_url(self.storage / "service.db")
        known = is_default or self.database == os.environ.get("HANDSSL_SERVICE_DATABASE")
        where = [] if known else ["--database", masked_url(self.database)]
        return command(*words, *where, storage=self.storage)

    def ray_page(self, url: str) -> str:
        """Return the URL under which browsers reach Ray's dashboard; empty if there is none.

        Args:
            url: URL at which the dashboard answers; empty if it does not run.
        """
        return self.public_ray.rstrip("/") or url

    def mlflow_page(self, url: str) -> str:
        """Return the URL under which browsers reach MLflow.

        Args:
            url: URL under which drivers reach it.

        Example:
            >>> options = Options(Path("runs"), "sqlite://", public_mlflow="https://example.org/")
            >>> options.mlflow_page("http://127.0.0.1:8643")
            'https://example.org'
        """
        is_everywhere = self.mlflow == "local" and self.mlflow_host in EVERYWHERE
        if url and is_everywhere and not self.public_mlflow:
            return f"http://{socket.getfqdn()}:{urlsplit(url).port}"
        return self.public_mlflow.rstrip("/") or url
