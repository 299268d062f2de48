"""Ray's job server in trouble: whatever its client says, nobody answers, and nothing is unknown."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from handssl.service.dispatch import ray_jobs
from handssl.service.dispatch.ray_jobs import RayJobs, UnreachableError


@contextlib.contextmanager
def answering(status: int, text: str):
    """Serve one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815  (the library's name)

        def log_message(self, *words):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield RayJobs(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, "Invalid authentication token"), (500, "no"), (200, "not JSON"), (404, "Not Found")],
)
@pytest.mark.parametrize("ask", ["attempt", "stop"])
def test_what_is_no_answer_of_ray_is_a_ray_that_does_not_answer(status, text, ask):
    with answering(status, text) as jobs, pytest.raises(UnreachableError, match="does not answer"):
        getattr(jobs, ask)("handssl-j1-1")


class Known:
    """A client whose Ray says so."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_job_info(self, submission: str):
        raise RuntimeError(self._text)


def test_only_a_job_that_ray_has_never_heard_of_is_unknown():
    jobs = RayJobs("http://127.0.0.1:9")
    gone = "Request failed with status code 404: Job handssl-j1-1 does not exist."
    jobs.__dict__["_client"] = Known(gone)
    assert jobs.attempt("handssl-j1-1").state == "unknown"
    jobs.__dict__["_client"] = Known("HTTPConnectionPool(host='127.0.0.1', port=40404): refused")
    with pytest.raises(UnreachableError):
        jobs.attempt("handssl-j1-1")


def test_a_ray_that_takes_the_call_and_says_nothing_does_not_answer(monkeypatch):
    monkeypatch.setattr(ray_jobs, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        jobs = RayJobs(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UnreachableError):
            jobs.attempt("handssl-j1-1")
