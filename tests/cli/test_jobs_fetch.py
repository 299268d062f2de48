"""Results of a job from a shell and from Python: continued, checked, and never half a file."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from safetensors.numpy import load_file

from handssl.cli.app import invoke
from handssl.errors import InputError
from handssl.service.client import retry
from handssl.service.client.download import download
from handssl.service.client.http_client import Client
from handssl.service.client.remote_job import Job
from handssl.service.errors import NoSuchJobError, ServiceError, UnavailableError
from tests.service.results import STUDY, trial_id, weights_file, with_results
from tests.service.services import served

CONTENT = np.random.default_rng(1).bytes(1_500_000)


@pytest.fixture(scope="module")
def served_job(tmp_path_factory):
    """The storage, the id of a job with results, and the URL of its service."""
    storage = tmp_path_factory.mktemp("runs")
    of, name = with_results(storage)
    with served(of) as url:
        yield storage, name, url


@pytest.fixture
def storage(served_job):
    return served_job[0]


@pytest.fixture
def job(served_job, monkeypatch):
    """A job with results at a service that this process finds as users find theirs."""
    _, name, url = served_job
    monkeypatch.setenv("HANDSSL_SERVICE", url)
    monkeypatch.delenv("HANDSSL_TOKEN", raising=False)
    return Job(name, STUDY, False, Client())


def files_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_everything_of_a_job_is_fetched_into_a_folder(job, storage, tmp_path, capsys):
    folder = tmp_path / "new" / "results"
    assert invoke(["jobs", "fetch", job.id, "--output", str(folder), "--quiet"]) == 0
    names = ["demo-111111111111.safetensors", "demo.html", "demo.json"]
    assert files_in(folder) == names
    assert (
        capsys.readouterr().out.splitlines()
        == [
            f"{what}: {folder / name}"
            for what, name in zip(("weights", "report", "result"), names, strict=True)
        ][::-1]
    )
    assert (folder / names[0]).read_bytes() == weights_file(storage, 1).read_bytes()
    assert json.loads((folder / "demo.json").read_text())["best"]["trial_id"] == trial_id(1)


def test_one_of_them_in_another_format_or_of_another_trial_as_json(job, storage, tmp_path, capsys):
    asked = ["--what", "report", "--format", "latex", "--what", "weights", "--trial", "44"]
    assert invoke(["jobs", "fetch", job.id, *asked, "--output", str(tmp_path), "--json"]) == 0
    printed = capsys.readouterr()
    files = {
        "report": str(tmp_path / "demo.tex"),
        "weights": str(tmp_path / "demo-444444444444.safetensors"),
    }
    assert json.loads(printed.out) == {"job": job.id, "files": files}
    assert printed.err == ""
    assert Path(files["weights"]).read_bytes() == weights_file(storage, 4).read_bytes()


def test_the_same_from_python(job, storage, tmp_path):
    result = job.result()
    table = result.table()
    assert table["trial_id"].tolist() == [trial_id(n) for n in (1, 2, 3, 4, 5)]
    assert table["median_mm"].tolist() == [60.0, 62.0, 70.5, 71.0, 90.0]
    assert result.best.cell == "relative rotate"
    assert job.report("csv").startswith("study,stage,")
    assert job.report().startswith("<!doctype html>")
    path = job.weights(tmp_path / "encoder.safetensors", trial=trial_id(3))
    expected = load_file(weights_file(storage, 3))
    assert np.array_equal(load_file(path)["w"], expected["w"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["j0", "--what", "result"], "expected the id of a job, got 'j0'"),
        (["JOB", "--what", "weights", "--trial", "5"], "with weights, found 0"),
        (["JOB", "--what", "weights", "--trial", "../x"], "with weights, found 0"),
        (["JOB", "--what", "result", "--output", "FILE/below"], "expected a file to write"),
    ],
)
def test_what_cannot_be_fetched_is_one_message(job, tmp_path, capsys, words, said):
    (tmp_path / "file").write_text("x")
    names = {"JOB": job.id, "FILE/below": str(tmp_path / "file" / "below")}
    assert invoke(["jobs", "fetch", *(names.get(word, word) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_refusals_of_the_service_are_errors_of_the_client(job, tmp_path):
    with pytest.raises(InputError, match="trial: expected the id, or the start of the id, of one"):
        job.weights(tmp_path / "w", trial="abc")
    with pytest.raises(InputError, match="has no weights yet"):
        job.weights(tmp_path / "w", trial="55")
    with pytest.raises(InputError, match="html"):
        job.report("docx")
    with pytest.raises(NoSuchJobError):
        Job("j0", "", False, job.client).result()
    with pytest.raises(UnavailableError):
        Job("j0", "", False, Client("http://127.0.0.1:9")).report()


def test_a_download_continues_where_an_earlier_one_has_ended(job, storage, tmp_path):
    content = weights_file(storage, 1).read_bytes()
    (tmp_path / ".w.part").write_bytes(content[:20_000])
    seen: list[tuple[int, int]] = []
    job.weights(tmp_path / "w", on_progress=lambda *now: seen.append(now))
    assert (tmp_path / "w").read_bytes() == content
    assert seen == [(len(content), len(content))]
    assert len(content) - 20_000 < 64 * 1024  # one piece: what was here did not come again
    assert files_in(tmp_path) == ["w"]


@pytest.mark.parametrize("wrong", [b"x" * 20_000, b"x" * 10**6])
def test_what_is_left_of_another_file_is_replaced(job, storage, tmp_path, wrong):
    (tmp_path / ".w.part").write_bytes(wrong)
    (tmp_path / "w").write_bytes(b"earlier")
    job.weights(tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == weights_file(storage, 1).read_bytes()


def test_two_processes_do_not_write_the_same_file(job, tmp_path):
    with (tmp_path / ".w.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is downloading it"):
            job.weights(tmp_path / "w")


class Cut(BaseHTTPRequestHandler):
    """Sends `CONTENT` with interruptions: at most 400 kB for each request."""

    digest = hashlib.sha256(CONTENT).digest()

    def do_GET(self):
        first = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.asked.append(first)
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(CONTENT) - first))
        if first:
            last = len(CONTENT) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(CONTENT)}")
        self.send_header("Repr-Digest", f"sha-256=:{base64.b64encode(self.digest).decode()}:")
        self.end_headers()
        self.wfile.write(CONTENT[first : first + 400_000])

    def log_message(self, *words):
        pass


class Wrong(Cut):
    digest = hashlib.sha256(b"other").digest()


@pytest.fixture
def fetched_from(tmp_path, monkeypatch):
    """Downloads from a server with a handler; returns the file and what it was asked for."""
    monkeypatch.setattr(retry, "POLL_S", 0.0)

    def fetch(handler):
        with HTTPServer(("127.0.0.1", 0), handler) as server:
            server.asked = []
            thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
            thread.start()
            try:
                client = Client(f"http://127.0.0.1:{server.server_port}")
                return download(client, "/x", tmp_path / "w", asked={}), server.asked
            finally:
                server.shutdown()
                thread.join()

    return fetch


def test_a_connection_that_breaks_is_continued_in_the_same_call(fetched_from):
    path, asked = fetched_from(Cut)
    assert path.read_bytes() == CONTENT
    assert asked[0] == 0
    # At least 0.3 MB of the 0.4 MB that came before each interruption were kept.
    assert all(later - first >= 300_000 for first, later in pairwise(asked))


def test_a_file_with_another_digest_is_not_kept(fetched_from, tmp_path):
    (tmp_path / "w").write_bytes(b"earlier")
    with pytest.raises(ServiceError, match="does not have the digest it states"):
        fetched_from(Wrong)
    assert (tmp_path / "w").read_bytes() == b"earlier"
    assert (tmp_path / ".w.part").stat().st_size == 0
