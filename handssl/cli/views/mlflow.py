"""MLflow's pages in a browser, with a local server if the store is a file."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator

import click

from handssl.errors import InputError

PORT = 5000
_START_S = 120.0


def page(tracking_uri: str, url: Callable[[str], str]) -> None:
    """Open a page; if a local server is needed, run it until Ctrl-C.

    Args:
        tracking_uri: A server's address, or a store.
        url: Returns the page's address for a server's address.
    """
    if tracking_uri.startswith("http"):
        _show(url(tracking_uri))
        return
    with mlflow_server(tracking_uri) as (address, process), contextlib.suppress(KeyboardInterrupt):
        _show(url(address))
        click.echo("Ctrl-C stops the server")
        process.wait()


@contextlib.contextmanager
def mlflow_server(tracking_uri: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run MLflow on a free port of this machine, reachable only from it.

    Args:
        tracking_uri: URI of the store.

    Yields:
        Address of the server, and its process.

    Raises:
        InputError: It did not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    where = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--workers", "1"]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        tracking_uri,
        *where,
    ]
    with subprocess.Popen(  # noqa: S603  (ours, with a store the user has named)
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _await(address, process)
            yield address, process
        finally:
            process.terminate()


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310  (loopback)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise InputError(f"MLflow's server did not start at {address}; try `mlflow server` yourself")


def _show(url: str) -> None:
    if not webbrowser.open(url):
        click.echo("no browser found; open the page yourself")
    click.echo(f"Page: {url}")
