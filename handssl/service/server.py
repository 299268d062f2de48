"""`handssl serve`: one process with API, pages and dispatcher, and the programs it needs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from socket import socket

import psutil
import uvicorn

from handssl.errors import DataError, InputError
from handssl.execution.cluster.listeners import described, how_to_close, listeners
from handssl.runtime.private_files import make_private
from handssl.service.components import Service
from handssl.service.credentials import mlflow_credentials
from handssl.service.dispatch.attempt import Tell, Watcher
from handssl.service.dispatch.dispatcher import Dispatcher
from handssl.service.dispatch.driver import JobWorkspace
from handssl.service.dispatch.local_ray import LocalRay
from handssl.service.dispatch.managed_subprocess import ManagedSubprocess
from handssl.service.dispatch.outcome import put_back
from handssl.service.dispatch.programs import mlflow_server, ray_head
from handssl.service.dispatch.ray_jobs import RayJobs
from handssl.service.options import Options
from handssl.service.ports import listen
from handssl.service.queue.lease import Lease
from handssl.service.queue.queue import Queue
from handssl.service.web.app import create_app
from handssl.service.web.connection_limit import most_connections
from handssl.service.web.server import WebServer

_LOOK_S = 1.0
_END_S = 15.0
_HERE = ("127.0.0.1", "localhost", "::1")


def serve(options: Options, notify: Tell) -> int:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        options: Options of the service.
        notify: Called with each message for the operator.

    Returns:
        Exit code.

    Raises:
        InputError: It would be open to a network without tokens, the port is in use, or too few
            files can be open.
        DataError: The storage cannot be written, or the database cannot be used.
    """
    with listen(options.host, options.port) as address:
        make_private(options.folder)
        server = Server(replace(options, port=address.getsockname()[1]), notify)
        server.require_guarded()
        return server.run(address)


class Server:
    """The service with all its components.

    Args:
        options: Options of the service.
        notify: Called with each message for the operator.
    """

    def __init__(self, options: Options, notify: Tell) -> None:
        self._options, self._notify = options, notify
        self._most_connections = most_connections()
        self._programs = _programs(options)
        mlflow = self._programs.get("mlflow")
        self._mlflow = (lambda: mlflow.url) if mlflow else (lambda: options.mlflow)
        self._last = ""
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        queue = Queue(options.database, queues=tuple(options.limits.queues))
        home = JobWorkspace(
            options.storage, self._mlflow, secrets=options.folder if mlflow else None
        )
        lease = Lease(queue.database, lease_s=options.lease_s)
        ray = self._programs.get("ray")
        self.service = Service(
            queue,
            home,
            options.limits,
            options.policy,
            lease,
            url=f"http://{options.host}:{options.port}",
            ray_url=lambda: options.ray_page(cluster.dashboard),
            mlflow_url=lambda: options.mlflow_page(home.tracking_uri),
            undrain=options.on_head("jobs", "drain", "--off"),
        )
        cluster = LocalRay(ray) if ray else RayJobs(options.ray)
        watcher = Watcher(queue, cluster, home, self.service.used_hours, notify)
        self.dispatcher = Dispatcher(
            queue,
            lease,
            options.limits,
            watcher,
            options.database,
            on_lead=self._supervisor.start,
            on_lost=self._begin_anew,
            notify=notify,
        )
        self.service.on_change = self.dispatcher.wake.set

    def require_guarded(self) -> None:
        """Refuse to be open to a network without tokens."""
        if self._options.host not in _HERE and not self.service.tokens.any():
            make = self._options.on_head("token", "create", "NAME", "--role", "submitter")
            raise InputError(
                f"--host: expected 127.0.0.1 while there are no tokens, got {self._options.host}; "
                f"create one with `{make}`"
            )

    def run(self, address: socket) -> int:
        """Serve at an address until a signal arrives."""
        app = create_app(self.service)
        config = uvicorn.Config(app, ws="none", log_level="warning", timeout_graceful_shutdown=5)
        self._uvicorn = WebServer(config, self._most_connections)
        for number in (signal.SIGTERM, signal.SIGINT):  # also before and after uvicorn runs
            signal.signal(number, self._uvicorn.handle_exit)
        self._notify(f"queue: {self.service.url} (storage {self._options.storage})")
        queue = self.service.queue
        for name, count in queue.unserved(queue.depth()).items():
            self._notify(
                f"{count} waiting in queue {name}, which is not served: add --queue {name}=N"
            )
        with ExitStack() as stack:
            stack.callback(self._end)
            self.dispatcher.start()
            self._uvicorn.run([address])
        return 0 if self._uvicorn.started else 1

    def _end(self) -> None:
        self._closing.set()
        self.service.close()
        self.dispatcher.stop(self._end_programs)

    def _end_programs(self) -> None:
        self._notify("stopping programs started here; studies continue when the service is back")
        if self._supervisor.is_alive():  # it might start them again
            self._supervisor.join(_END_S)
        for program in self._programs.values():
            program.end()
        if "ray" in self._programs:
            with suppress(DataError):  # in that case the next service counts them as lost
                put_back(self.service.queue)

    def _supervise(self) -> None:
        ready, notified = dict.fromkeys(self._programs, False), False
        while not self._closing.is_set():
            for name, program in self._programs.items():
                answers = self._ensure(name, program)
                if answers and not ready[name]:
                    self._notify(f"{name}: {program.url}")
                ready[name] = answers
            if not notified and all(ready.values()):
                self._tell_ports()
                notified = True
            self._closing.wait(_LOOK_S)

    def _ensure(self, name: str, program: ManagedSubprocess) -> bool:
        try:
            return program.ensure()
        except (OSError, InputError) as error:  # e.g. a full disk: it is tried again
            if str(error) != self._last:
                self._notify(f"{name} cannot be started: {error}")
            self._last = str(error)
            return False

    def _tell_ports(self) -> None:
        """Report who can reach the ports of this service and its programs."""
        roots = [program.process for program in self._programs.values()]
        found = listeners(psutil.Process(), *filter(None, roots))
        self._notify(f"listens {described(found)}")
        if close := how_to_close(found):
            self._notify(f"to close ports that are open to the network: {close}")

    def _begin_anew(self) -> None:
        """Replace this process at once: all its attempts belong to another service now."""
        os.execv(sys.executable, [sys.executable, "-m", "handssl.cli", *sys.argv[1:]])  # noqa: S606


def _programs(options: Options) -> Mapping[str, ManagedSubprocess]:
    found: dict[str, ManagedSubprocess] = {}
    env: Mapping[str, str] = {}
    if options.mlflow == "local":
        found["mlflow"] = mlflow_server(
            options.folder,
            options.storage,
            host=options.mlflow_host,
            port=options.mlflow_port,
            first_port=options.port + 1,
            public=options.public_mlflow,
        )
        env = mlflow_credentials(options.folder)
        os.environ.update(env)  # this process reads experiments for their pages
    if options.mlflow.startswith("postgres"):  # drivers write to the database themselves
        env = {name: os.environ[name] for name in ("PGPASSWORD",) if name in os.environ}
    if options.ray == "local":
        found["ray"] = ray_head(options.folder, cpus=options.cpus, env=env)
    return found
