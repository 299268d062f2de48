"""Clients that send no whole request, and many of them, keep nobody else out of the service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPResponse
from pathlib import Path

import pytest
import requests
import uvicorn

from handssl.errors import InputError
from handssl.service.dispatch.managed_subprocess import free_port
from handssl.service.ports import listen
from handssl.service.web import connection, connection_limit
from handssl.service.web.server import WebServer
from tests.service.lab import ROOT
from tests.service.services import study

FILES, CLIENTS = 200, 260
HEAD = b"GET /healthz HTTP/1.1\r\nHost: here\r\n"
LOG_BYTES = 100_000
NOWHERE = "http://127.0.0.1:1"


@contextlib.contextmanager
def served(folder: Path):
    """Start `handssl serve` in a process that can open few files; return its URL."""
    port = free_port()
    words = ["serve", "--storage", str(folder), "--port", str(port), "--ray", NOWHERE]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "handssl.cli", *words, "--mlflow", NOWHERE],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: "dispatches" in (folder / "log").read_text(), 100)
        until(lambda: answers(url), 60)
        yield url
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(30)


def until(holds, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{url}/healthz", timeout=10).ok
    return False


def is_closed(client: socket.socket) -> bool:
    """Say whether the other side has ended a connection; what it has sent is read."""
    try:
        return client.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.faults
@pytest.mark.timeout(250)
def test_half_open_connections_keep_no_client_out_and_stop_no_job(tmp_path):
    with served(tmp_path) as url, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        clients = []
        for number in range(CLIENTS):
            client = stack.enter_context(socket.create_connection(address, timeout=10))
            client.sendall(HEAD if number % 2 else b"")  # nothing at all, or half a head
            client.setblocking(False)
            clients.append(client)
        assert answers(url)
        answer = requests.post(f"{url}/api/jobs", json={"study": study()}, timeout=10)
        assert answer.status_code == 201
        job = f"{url}/api/jobs/{answer.json()['id']}"
        until(lambda: requests.get(job, timeout=10).json()["job"]["state"] == "running", 30)
        slow = clients[-1]  # a head that never ends, a few bytes at a time

        def all_closed() -> bool:
            with contextlib.suppress(OSError):
                slow.send(b"X: y\r\n")
            return sum(is_closed(one) for one in clients) == len(clients)

        until(all_closed, connection.HEAD_S + 20)
        assert answers(url)
    log = (tmp_path / "log").read_text()
    assert len(log) < LOG_BYTES
    assert "Traceback" not in log


async def echo(scope, receive, send) -> None:
    """Answer with the length of the body; one that is refused is not read."""
    if scope["type"] != "http":
        return
    length, more = 0, scope["path"] != "/refuse"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    size = 64 * 1024 * 1024 if scope["path"] == "/large" else 0
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % length + b"." * size})


@pytest.fixture
def server():
    """A server with three connections; returns it with its address."""
    with listen("127.0.0.1", 0) as taken:
        config = uvicorn.Config(echo, ws="none", lifespan="off", log_config=None)
        made = WebServer(config, 3)
        thread = threading.Thread(target=made.run, args=([taken],))
        thread.start()
        until(lambda: made.started, 10)
        try:
            yield made, taken.getsockname()
        finally:
            made.should_exit = True
            thread.join(20)
            for name in ("uvicorn.error", "asyncio"):
                logging.getLogger(name).filters.clear()


def ask(client: socket.socket, path: str, body: bytes = b"", *, length: int | None = None) -> None:
    length = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n"
    client.sendall(head.encode() + body)


def answered(client: socket.socket) -> bytes:
    """Read one answer."""
    answer = HTTPResponse(client)
    answer.begin()
    return answer.read()


def trickled(client: socket.socket, timeout_s: float) -> float:
    """Send a byte again and again until the other side closes; return how long that took."""
    client.setblocking(False)
    start_s = time.monotonic()

    def closed() -> bool:
        with contextlib.suppress(OSError):
            client.send(b"x")
        return is_closed(client)

    until(closed, timeout_s)
    return time.monotonic() - start_s


@pytest.mark.parametrize("path", ["/read", "/refuse"])
def test_a_body_has_a_time_too_also_where_the_answer_was_given_before(server, monkeypatch, path):
    monkeypatch.setattr(connection, "BODY_S", 1.0)
    with socket.create_connection(server[1], timeout=10) as client:
        ask(client, path, b"x", length=10**6)
        assert 0.5 < trickled(client, 15) < 10


def test_the_next_request_on_a_connection_has_the_same_time(server, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_S", 1.0)
    with socket.create_connection(server[1], timeout=10) as client:
        for body in (b"one", b"three"):
            ask(client, "/read", body)
            assert answered(client) == b"%d" % len(body)  # the connection is kept
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert 0.5 < trickled(client, 15) < 10


def test_one_too_many_closes_the_one_that_has_waited_longest_and_none_at_work(server):
    made, address = server
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(3):
            clients.append(stack.enter_context(socket.create_connection(address, timeout=10)))
            until(lambda: len(made.server_state.connections) == len(clients), 10)
        ask(clients[0], "/read", b"12")  # the oldest, and no longer one that waits the longest
        assert answered(clients[0]) == b"2"
        with socket.create_connection(address, timeout=10) as late:
            ask(late, "/read", b"1234")
            assert answered(late) == b"4"
            assert clients[1].recv(1) == b""
            for kept in (clients[0], clients[2]):
                ask(kept, "/read", b"x")
                assert answered(kept) == b"1"


def test_no_descriptor_left_is_a_pause_and_one_line(server, monkeypatch, caplog):
    _, address = server
    loop, tried = asyncio.SelectorEventLoop, []
    accept = loop.sock_accept

    async def exhausted(self, listener):
        if len(tried) < 2:
            tried.append(time.monotonic())
            raise OSError(24, "Too many open files")
        return await accept(self, listener)

    monkeypatch.setattr(loop, "sock_accept", exhausted)
    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        # The call that is under way is still the true one.
        for body in (b"1", b"12"):
            with socket.create_connection(address, timeout=10) as client:
                client.settimeout(10)
                ask(client, "/read", body)
                assert answered(client) == b"%d" % len(body)
    assert len(tried) == 2
    assert tried[1] - tried[0] > 0.9
    said = [one for one in caplog.records if "Too many open files" in one.getMessage()]
    assert len(said) == 1


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has none")
def test_a_client_that_does_not_read_its_answer_is_dropped(server, monkeypatch):
    made, address = server
    monkeypatch.setattr("handssl.service.web.server._UNREAD_MS", 1000)
    with socket.create_connection(address, timeout=10) as client:
        until(lambda: len(made.server_state.connections) == 1, 10)
    until(lambda: not made.server_state.connections, 10)
    with socket.create_connection(address, timeout=10) as client:
        ask(client, "/large")
        until(lambda: len(made.server_state.connections) == 1, 10)
        until(lambda: not made.server_state.connections, 60)


def test_a_machine_that_lets_too_few_files_be_open_is_named_with_what_to_do():
    with pytest.raises(InputError, match=r"open files: .*at least 160, got 100.*ulimit -n 4096"):
        connection_limit.connections_of(100)


def test_the_limit_of_open_files_is_raised_as_far_as_may_be():
    code = (
        "import resource as r\n"
        "from handssl.service.web.connection_limit import most_connections as most\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (64, 300)); print(most(), r.getrlimit(r.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == "172 (300, 300)", done.stderr
