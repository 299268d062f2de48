"""Passwords that come in at every entrance are at no exit: files, output, pages, processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import requests
import yaml

from handssl.service.dispatch.managed_subprocess import free_port
from handssl.service.queue.queue import Queue
from handssl.service.queue.tokens import Tokens
from tests.postgresql import USER, postgres_server

ROOT = Path(__file__).parents[1]
SECRET = "hunter2hunter2"
STUDY = {
    "name": "leak",
    "data": {"pretrain": 32, "probe": 48, "select": 24, "test": 24, "image_px": 64, "crop_px": 64},
    "cells": [{"composition": ["rotate"], "objective": "relative"}],
    "references": False,
    "halving": None,
    "pretrain": {
        "epochs": 2,
        "global_batch": 16,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 1},
    },
}


@pytest.fixture
def place():
    """A folder with a short name, for sockets, which holds HOME, TMPDIR and storage."""
    folder = Path(tempfile.mkdtemp(prefix="leak-", dir="/tmp"))
    for name in ("home", "t"):
        (folder / name).mkdir()
    yield folder
    shutil.rmtree(folder)


def environment(place: Path, **more: str) -> dict[str, str]:
    folders = {"HOME": place / "home", "TMPDIR": place / "t", "RAY_TMPDIR": place / "t"}
    own = {name: str(folder) for name, folder in folders.items()}
    own |= {"HANDSSL_HOME": str(place / "runs"), "OMP_NUM_THREADS": "1"}
    return {"PYTHONPATH": str(ROOT)} | os.environ | own | more


def run(place: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "handssl.cli", *words]
    env = environment(place, **more)
    return subprocess.run(command, env=env, cwd=place, capture_output=True, text=True, timeout=240)


def require_nothing_written(place: Path) -> None:
    """Search every byte of every file that somebody else could read."""
    found = [
        file
        for file in place.rglob("*")
        if file.is_file() and file.stat().st_mode & 0o077 and SECRET.encode() in file.read_bytes()
    ]
    assert found == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["study", "run", "smoke", "--tracking-uri", f"http://ada:{SECRET}@127.0.0.1:9"],
            "MLFLOW_",
        ),
        (["demo", f"--tracking-uri=postgresql://ada:{SECRET}@127.0.0.1:9/x"], "PGPASSWORD"),
        (["doctor", "--tracking-uri", f"http://127.0.0.1:9?password={SECRET}"], "MLFLOW_"),
        (["study", "compare", "smoke", "--tracking-uri", f"http://{SECRET}@h"], "MLFLOW_"),
        (["serve", "--database", f"postgresql://ada:{SECRET}@127.0.0.1:9/x"], "PGPASSWORD"),
        (["serve", "--mlflow", f"http://ada:{SECRET}@h"], "MLFLOW_"),
        (["serve", "--ray", f"http://ada:{SECRET}@h:8265"], "RAY_AUTH_TOKEN_PATH"),
        (["token", "list", "--database", f"postgresql://db/x?password={SECRET}"], "PGPASSWORD"),
        (["bench", "queue", "--database", f"postgresql://ada:{SECRET}@db/x"], "PGPASSWORD"),
        (["jobs", "list", "--service", f"http://ada:{SECRET}@127.0.0.1:9"], "HANDSSL_TOKEN"),
        (["pretrain", "--checkpoints", f"s3://key:{SECRET}@bucket/x"], "environment"),
        (["demo", "--set", f"data.folder=s3://key:{SECRET}@bucket"], "environment"),
    ],
)
def test_a_command_line_with_a_secret_is_refused_and_the_secret_not_shown(place, words, said):
    done = run(place, *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "***" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    require_nothing_written(place)


def test_a_study_with_a_secret_is_refused_wherever_the_secret_stands(place):
    cell = {"composition": [f"postgresql://ada:{SECRET}@db/x"]}
    (place / "mine.yaml").write_text(yaml.safe_dump(STUDY | {"cells": [cell]}))
    done = run(place, "study", "run", str(place / "mine.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "cells.0.composition.0: expected no password" in done.stderr
    assert SECRET not in done.stderr


class _Echo(BaseHTTPRequestHandler):
    """A server that refuses everything, and repeats in its answer what it was sent."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = f"expected another password than {SECRET} in {self.headers}".encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  (the name that the base class looks for)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def refusing_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.faults
def test_a_study_whose_mlflow_refuses_its_password_shows_it_nowhere(place):
    (place / "leak.yaml").write_text(yaml.safe_dump(STUDY))
    postgres = postgres_server()
    more = {
        "MLFLOW_TRACKING_USERNAME": "ada",
        "MLFLOW_TRACKING_PASSWORD": SECRET,
        "HANDSSL_LEDGER": f"postgresql://{USER}:{SECRET}@/{USER}?host={postgres.folder}",
        "PYTHONUNBUFFERED": "1",
    }
    try:
        with refusing_server() as uri:
            words = ["study", "run", "leak.yaml", "--tracking-uri", uri]
            done = run(place, *words, "--markdown", "out.md", "--json", **more)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["tracking_uri"] == uri
        assert "cannot be written" in done.stderr
        report = run(place, "report", "runs", "--json", **more)
        assert report.returncode == 0, report.stderr
        postgres.stop()
        away = run(place, "study", "run", "leak.yaml", **more)
        assert away.returncode == 69, away.stderr
        for one in (done, report, away):
            assert SECRET not in one.stdout + one.stderr
        assert (place / "runs" / "leak.html").exists()
        require_nothing_written(place)
    finally:
        postgres.close()


def test_a_tracking_uri_of_python_holds_no_password(tmp_path):
    import handssl
    from handssl.errors import InputError

    uri = f"http://ada:{SECRET}@127.0.0.1:9"
    with pytest.raises(InputError, match="MLFLOW_TRACKING_PASSWORD") as error:
        handssl.run(handssl.Study.parse(STUDY), storage=tmp_path, tracking_uri=uri)
    assert SECRET not in str(error.value)


def test_a_token_is_written_to_a_file_of_one_user(place):
    file = place / "ada.token"
    before = os.umask(0)
    try:
        done = run(place, "token", "create", "ada", "--output", str(file))
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    token = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert token not in done.stdout + done.stderr
    tokens = Tokens(Queue(f"sqlite:///{place}/runs/service.db").database)
    assert tokens.find(token).name == "ada"
    again = run(place, "token", "create", "bob", "--output", str(file))
    assert again.returncode == 2
    assert [one.name for one in tokens.all()] == ["ada"]


def test_the_doctor_names_a_secret_that_others_can_read(place):
    from handssl.doctor import Settings, diagnose

    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_AUTH_TOKEN_PATH", "PGPASSFILE"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(place / "home"))
        file = place / "home" / ".ray" / "auth_token"
        file.parent.mkdir()
        file.write_text(SECRET)
        file.chmod(0o644)
        [found] = diagnose(Settings(place / "runs", ""), checks=["secret files"])
        assert (found.verdict, str(file) in found.detail) == ("warning", True)
        subprocess.run(["sh", "-c", found.fix.partition(";")[0]], check=True)
        [found] = diagnose(Settings(place / "runs", ""), checks=["secret files"])
        assert found.verdict == "ok"


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_service_keeps_the_password_of_its_queue_to_itself(place):
    postgres, port = postgres_server(), free_port()
    database = f"postgresql://{USER}:{SECRET}@/{USER}?host={postgres.folder}"
    url = f"http://127.0.0.1:{port}"
    env = environment(
        place, HANDSSL_SERVICE_DATABASE=database, PGPASSWORD=SECRET, HANDSSL_TOKEN=SECRET
    )
    with (place / "serve.log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", "handssl.cli", "serve", "--port", str(port)],
            env=env, cwd=place, stdout=log, stderr=log,
        )  # fmt: skip
    seen: dict[str, str] = {}
    try:
        until(lambda: answers(url), "service")
        job = requests.post(f"{url}/api/jobs", json={"study": STUDY}, timeout=60).json()["id"]

        def over() -> bool:
            look_at_family(service.pid, seen)
            found = requests.get(f"{url}/api/jobs/{job}", timeout=60).json()["job"]["state"]
            return found in ("succeeded", "failed", "cancelled")

        until(over, "job")
        paths = ["", f"/jobs/{job}", "/metrics", "/api/service", "/api/jobs", f"/api/jobs/{job}"]
        shown = [requests.get(url + one, timeout=60) for one in [*paths, f"/api/jobs/{job}/log"]]
        assert all(one.ok and SECRET not in one.text for one in shown)
        assert shown[-2].json()["job"]["state"] == "succeeded", shown[-1].text
    finally:
        service.terminate()
        service.wait(120)
        postgres.close()
    assert any("study run" in title for title in seen)
    assert {title for title, leak in seen.items() if leak} == set()
    require_nothing_written(place)


def look_at_family(pid: int, seen: dict[str, str]) -> None:
    """Note of each process that a service has started where it shows the secret."""
    with contextlib.suppress(psutil.Error):
        for one in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words, variables = " ".join(one.cmdline()), one.environ()
                places = [name for name, value in variables.items() if SECRET in value]
                places += ["command line"] if SECRET in words else []
                seen[words] = seen.get(words, "") or " ".join(places)


def answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{url}/healthz", timeout=5).ok
    return False


def until(holds, what: str, timeout_s: float = 240.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.2)
