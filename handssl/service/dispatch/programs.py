"""The Ray head and the MLflow server that a service starts unless it uses external ones."""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from handssl.execution.cluster.environment import LOOPBACK
from handssl.execution.cluster.local_ray import OBJECT_STORE_BYTES
from handssl.execution.cluster.ray_folder import ray_temp, remove_ray_folder, renew_ray_folder
from handssl.execution.datasets.cluster_data import find_site
from handssl.execution.storage import default_tracking_uri
from handssl.planning.resources import available_cpus
from handssl.runtime.private_files import ensure_secret
from handssl.runtime.sqlite_url import sqlite_url
from handssl.service.credentials import USER, mlflow_password
from handssl.service.dispatch.managed_subprocess import Command, ManagedSubprocess, free_port
from handssl.service.dispatch.persistent_port import PersistentPort
from handssl.service.ports import EVERYWHERE
from handssl.tracking.outbox import UnavailableError
from handssl.tracking.relocation import relocate


def ray_head(folder: Path, *, cpus: int | None = None, env: Mapping[str, str]) -> ManagedSubprocess:
    """Return a Ray of one node on loopback, with Ray's default token authentication.

    Each start has its own temporary folder, to which the link `ray` in the service's folder points:
    with a shared one, drivers would find the Ray that was started last.

    Args:
        folder: Folder of the service.
        cpus: Number of CPUs; default: all that this process may use.
        env: Environment variables of its processes, and so of every driver.
    """
    link = folder / "ray"

    def command(port: int) -> Command:
        words = [
            sys.executable,
            "-m",
            "handssl.service.dispatch.start_ray",
            "start",
            "--head",
            "--block",
        ]
        words += ["--node-ip-address", "127.0.0.1", "--port", str(free_port())]
        words += ["--dashboard-host", "127.0.0.1", "--dashboard-port", str(port)]
        # A Ray that has just ended may still hold the default port.
        words += ["--dashboard-agent-listen-port", str(free_port())]
        words += ["--include-dashboard", "true", "--disable-usage-stats"]
        words += ["--temp-dir", str(ray_temp(renew_ray_folder(link)))]
        words += ["--num-cpus", str(cpus or available_cpus())]
        words += ["--object-store-memory", str(OBJECT_STORE_BYTES)]
        variables = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_GRAFANA_HOST": "DISABLED"}
        return Command(words, f"http://127.0.0.1:{port}", {**variables, **LOOPBACK, **env})

    return ManagedSubprocess(
        *("ray", folder, command, "/api/version"), on_end=lambda: remove_ray_folder(link)
    )


def mlflow_server(
    folder: Path,
    storage: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    first_port: int | None = None,
    public: str = "",
) -> ManagedSubprocess:
    """Return an MLflow server for the storage's runs.

    It has the same port at every start, as drivers that outlive the service know no other.

    Args:
        folder: Folder of the service.
        storage: Storage with `mlflow.db`.
        host: Address on which it listens; other than on loopback it requires name and password.
        port: Port to use from now on; None: the one it had before.
        first_port: Port to use if it never had one.
        public: URL under which browsers reach it, if that is different.
    """
    kept = PersistentPort(folder / "mlflow_port", host)
    if wanted := port or (None if kept.number else first_port):
        kept.keep(wanted)
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    exposed = host not in ("127.0.0.1", "localhost", "::1")
    if exposed:
        ensure_secret(mlflow_password(folder))

    def command(offered: int) -> Command:
        port = kept.take(offered)
        with suppress(UnavailableError):  # read-only: MLflow itself reports it
            relocate(default_tracking_uri(storage))
        words = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        words += ["--backend-store-uri", default_tracking_uri(storage), "--serve-artifacts"]
        words += ["--artifacts-destination", _artifacts(storage)]
        words += ["--host", host, "--port", str(port)]
        words += ["--app-name", "basic-auth"] if exposed else []
        words += _called(host, port, public) if exposed or public else []
        here = "127.0.0.1" if host in EVERYWHERE else host
        return Command(words, f"http://{here}:{port}", env | _auth(folder, exposed))

    return ManagedSubprocess("mlflow", folder, command, "/health")


def _called(host: str, port: int, public: str) -> list[str]:
    """Return MLflow's options with the allowed names of this machine; it refuses other names.

    It also refuses requests of its own pages unless their addresses are listed as origins.
    """
    names = {host, socket.gethostname(), socket.getfqdn(), "localhost", "127.0.0.1"}
    origins = {f"http://{name}:{port}" for name in names}
    if public:
        parts = urlsplit(public)
        names.add(parts.hostname or "")
        origins.add(f"{parts.scheme}://{parts.netloc}")
    hosts = [f"{name}{end}" for name in sorted(names) for end in ("", ":*")]
    allowed = ["--allowed-hosts", ",".join(hosts)]
    return [*allowed, "--cors-allowed-origins", ",".join(sorted(origins))]


def _artifacts(storage: Path) -> str:
    """Return MLflow's artifact location as a URL: in a path it would decode %20 and the like."""
    site = find_site(storage)
    place = site.artifacts if site and site.artifacts else str(storage / "mlartifacts")
    return place if "://" in place else Path(place).expanduser().resolve().as_uri()


def _auth(folder: Path, exposed: bool) -> dict[str, str]:
    if not exposed:
        return {}
    configuration = folder / "mlflow_auth.ini"
    users = sqlite_url(folder / "mlflow_users.db").replace("%", "%%")  # escaped for the INI format
    configuration.write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = {users}\n"
        f"admin_username = {USER}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(configuration),
        "MLFLOW_AUTH_ADMIN_PASSWORD": mlflow_password(folder).read_text(),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
    }
