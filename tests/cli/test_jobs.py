"""The queue from a shell and from Python: what is printed, JSON for scripts, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
import requests
import yaml

import handssl
from handssl.cli.app import invoke
from handssl.errors import DataError, InputError
from handssl.service.client import remote_job, retry
from handssl.service.client.http_client import Client
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.errors import (
    ForbiddenError,
    ServiceError,
    UnauthorizedError,
    UnavailableError,
)
from handssl.service.queue.admission import admit
from handssl.service.queue.job import JobRequest
from handssl.service.queue.logs import read_log
from handssl.service.web import api
from tests.service.services import served, service, study


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A service that this process finds as users find theirs."""
    of = service(tmp_path)
    with served(of) as url:
        monkeypatch.setenv("HANDSSL_SERVICE", url)
        monkeypatch.delenv("HANDSSL_TOKEN", raising=False)
        yield of


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(study("mine")))
    return str(path)


def run_next(of, code: int, log: str = "") -> None:
    """Let the next job of the queue end with an exit code."""
    of.lease.take()
    [job] = admit(of.queue, of.lease, of.limits, lambda *_: None)
    place = of.home.log(job.id)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(log)
    finish(of.queue, job.id, job.attempt, Outcome("exited", code))


def told(capsys, *words: str) -> dict:
    assert invoke([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_links_of_the_service_are_printed_as_this_machine_finds_them(queue, file, capsys):
    queue.mlflow_url = lambda: "http://m"
    assert invoke(["submit", file]) == 0
    capsys.readouterr()
    [job] = told(capsys, "jobs", "list")["jobs"]
    place = f"/jobs/{job['id']}/mlflow"
    assert told(capsys, "jobs", "show", job["id"])["links"] == {"MLflow experiment": place}
    assert invoke(["jobs", "show", job["id"]]) == 0
    assert f"MLflow experiment: {os.environ['HANDSSL_SERVICE']}{place}\n" in capsys.readouterr().out


def test_a_study_goes_into_the_queue_and_is_found_there(queue, file, capsys):
    assert invoke(["submit", file, "--priority", "5"]) == 0
    first = capsys.readouterr().out
    assert "queued, place 1" in first
    assert invoke(["submit", file]) == 0
    assert "the same study has a job already" in capsys.readouterr().out
    listed = told(capsys, "jobs", "list")
    assert [(job["study"], job["priority"]) for job in listed["jobs"]] == [("mine", 5)]
    name = listed["jobs"][0]["id"]
    assert name in first
    assert invoke(["jobs", "list"]) == 0
    assert name in capsys.readouterr().out
    assert invoke(["jobs", "show", name]) == 0
    assert "queued: submitted" in capsys.readouterr().out
    assert told(capsys, "jobs", "show", name)["study"]["name"] == "mine"
    for verb, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert told(capsys, "jobs", verb, name) == {"job": name, "state": state}
    assert told(capsys, "jobs", "retry", name, "--gpu-hours", "3")["state"] == "queued"
    assert told(capsys, "jobs", "reprioritise", name, "-7")["state"] == "queued"
    assert queue.queue.get(name).priority == -7


@pytest.mark.parametrize(("code", "state", "exit_code"), [(0, "succeeded", 0), (2, "failed", 1)])
def test_waiting_gives_the_log_and_the_exit_code(queue, file, capsys, code, state, exit_code):
    assert invoke(["submit", file]) == 0
    run_next(queue, code, "first line\nlast line\n")
    capsys.readouterr()
    name = queue.queue.get(told(capsys, "jobs", "list")["jobs"][0]["id"]).id
    assert invoke(["jobs", "wait", name]) == exit_code
    assert capsys.readouterr().out == f"{name}: {state}\n"
    assert invoke(["jobs", "logs", name]) == 0
    assert capsys.readouterr().out == "first line\nlast line\n"
    assert invoke(["jobs", "logs", name, "--follow"]) == 0
    assert capsys.readouterr().out == "first line\nlast line\n"


def test_a_wait_that_is_too_long_says_so(queue, file, capsys):
    invoke(["submit", file])
    name = told_id(queue)
    assert invoke(["jobs", "wait", name, "--timeout", "0"]) == 124
    assert "is queued after 0 s" in capsys.readouterr().err


def told_id(of) -> str:
    from handssl.service.queue.listing import page

    return page(of.queue)[0][0].id


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["submit", "nothing.yaml"], 2, "nothing.yaml"),
        (["submit", "smoke", "--queue", "nite"], 2, "expected one of default"),
        (["submit", "smoke", "--set", "blocks=[1,1]"], 2, "blocks"),
        (["jobs", "show", "jnone"], 2, "expected the id of a job"),
        (["jobs", "cancel", "../x"], 2, "expected the id of a job"),
        (["jobs", "show", "JABC"], 2, "expected the id of a job"),
        (["jobs", "show", "\u00e4"], 2, "expected the id of a job"),
        (["jobs", "list", "--state", "quued"], 2, "quued"),
        (["submit", "smoke", "--service", "http://127.0.0.1:9"], 69, "is it running"),
        (["submit", "smoke", "--wait", "--service", "http://127.0.0.1:9"], 69, "is it running"),
        (["jobs", "wait", "j1", "--service", "http://127.0.0.1:9"], 69, "is it running"),
        (["jobs", "logs", "j1", "-f", "--service", "http://127.0.0.1:9"], 69, "is it running"),
        (["jobs", "wait", "jnone"], 2, "expected the id of a job"),
        (["jobs", "list", "--service", "http://["], 2, "expected http://HOST:PORT"),
        (["jobs", "list", "--service", "head:8642"], 2, "expected http://HOST:PORT"),
        (["submit", "smoke", "--queue", "Night!"], 2, "queue: "),
        (["submit", "smoke", "--time-limit", "1e9"], 2, "time_limit_s: "),
        (["submit", "smoke", "--gpu-hours", "nan"], 2, "gpu_hours: "),
    ],
)
def test_mistakes_end_with_what_to_do(queue, capsys, words, code, said):
    assert invoke(words) == code
    assert said in capsys.readouterr().err


def test_python_submits_waits_and_controls(queue):
    job = handssl.submit(study("from-python"), priority=2)
    assert (job.status(), job.is_new, job.study) == ("queued", True, "from-python")
    assert handssl.submit(handssl.Study.parse(study("from-python"))).id == job.id
    assert job.pause() == "paused"
    assert job.resume() == "queued"
    assert job.reprioritise(9) == "queued"
    run_next(queue, 1, "it was like this\n")
    assert job.wait(10) == "failed"
    assert job.logs() == "it was like this\n"
    assert job.retry(time_limit_s=60.0) == "queued"
    assert job.cancel() == "cancelled"
    with pytest.raises(InputError, match="it has to be"):
        job.pause()


def test_python_is_reported_what_is_wrong_before_anything_is_sent(queue):
    with pytest.raises(InputError, match="blocks"):
        handssl.submit(study(blocks=[]))
    assert queue.queue.depth() == {}
    with pytest.raises(ServiceError, match="does not answer"):
        handssl.submit(study(), service="http://127.0.0.1:9")


@pytest.fixture
def eager(monkeypatch):
    """Clients that wait ask again at once."""
    monkeypatch.setattr(retry, "POLL_S", 0.01)


@pytest.fixture
def away(monkeypatch):
    """The database is away for the next so many looks at a log."""
    left = []

    def read(*asked):
        if left:
            left.pop()
            raise DataError("queue: gone")
        return read_log(*asked)

    monkeypatch.setattr(api, "read_log", read)
    return lambda times: left.extend(range(times))


WAITING = (["jobs", "wait"], ["jobs", "logs", "--follow"], ["submit", "--wait"])


def waiting(words: list[str], file: str, name: str) -> list[str]:
    return [*words, file if words[0] == "submit" else name]


def test_waiting_outlives_the_service(tmp_path, eager):
    with served(service(tmp_path)) as url:
        job = handssl.submit(study(), service=url)
    told = []
    with contextlib.ExitStack() as stack:

        def back(text: str) -> None:
            told.append(text)
            of = service(tmp_path)
            run_next(of, 0, "all of it\n")
            stack.enter_context(served(of, port=int(url.rpartition(":")[2])))

        assert list(job.follow(60, notify=back)) == ["all of it\n"]
        assert job.wait(60) == "succeeded"
    [text] = told
    assert "does not answer for now" in text


@pytest.mark.parametrize("words", WAITING)
def test_an_outage_while_waiting_is_reported_once(queue, file, capsys, eager, away, words):
    invoke(["submit", file])
    run_next(queue, 0, "first line\n")
    away(3)
    assert invoke(waiting(words, file, told_id(queue))) == 0
    assert capsys.readouterr().err.count("does not answer for now; retrying for 5 min") == 1


def test_waiting_ends_after_five_minutes_of_silence(queue, file, capsys, eager, away, monkeypatch):
    monkeypatch.setattr(retry, "PATIENCE_S", 0.0)
    invoke(["submit", file])
    away(3)
    assert invoke(["jobs", "wait", told_id(queue)]) == 69
    assert "queue: gone" in capsys.readouterr().err


def test_an_outage_does_not_make_a_wait_longer(queue, file, capsys, eager, away):
    invoke(["submit", file])
    away(3)
    assert invoke(["jobs", "wait", told_id(queue), "--timeout", "0"]) == 124


@pytest.mark.parametrize("words", WAITING)
def test_ctrl_c_while_waiting_leaves_the_job_alone(queue, file, capsys, monkeypatch, words):
    def interrupt(_):
        raise KeyboardInterrupt

    invoke(["submit", file])
    name = told_id(queue)
    monkeypatch.setattr(
        remote_job, "time", SimpleNamespace(sleep=interrupt, monotonic=time.monotonic)
    )
    assert invoke(waiting(words, file, name)) == 130
    told = capsys.readouterr().err
    assert f"job {name} continues" in told
    assert f"handssl jobs show {name}" in told
    assert queue.queue.get(name).state == "queued"


@pytest.mark.parametrize("words", [["jobs", "wait"], ["submit", "--wait"]])
def test_how_a_job_ended_is_reported_though_it_is_queued_again(
    queue, file, capsys, monkeypatch, eager, words
):
    invoke(["submit", file])
    name = told_id(queue)
    steps = iter([lambda: run_next(queue, 1), lambda: queue.queue.retry(name)])

    def read(*asked):
        # The state was asked before: this time it is queued, next time failed.
        next(steps)()
        return read_log(*asked)

    monkeypatch.setattr(api, "read_log", read)
    assert invoke(waiting(words, file, name)) == 1
    assert queue.queue.get(name).state == "queued"


@pytest.mark.parametrize(
    ("status", "body"), [(502, "<h1>Bad Gateway</h1>"), (503, '{"detail": "gone"}'), (504, "")]
)
def test_what_a_proxy_says_of_a_service_that_is_away_is_an_outage(status, body):
    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(UnavailableError):
            Client(f"http://127.0.0.1:{server.server_port}").ask("GET", "/jobs")


@pytest.mark.parametrize("token", ["handssl_\u2026", "handssl_\udcff", "two words", "line\n"])
def test_a_token_that_is_none_is_refused_and_not_shown(queue, monkeypatch, capsys, token):
    monkeypatch.setenv("HANDSSL_TOKEN", token)
    assert invoke(["jobs", "list"]) == 2
    told = capsys.readouterr().err
    assert "HANDSSL_TOKEN: expected a token" in told
    assert token not in told


@pytest.mark.parametrize(
    ("name", "user"),
    [("ada", "ada"), ("\u0436\u043e\u0440\u0430", "local"), (" a b", "local"), ("\udcff", "local")],
)
def test_a_login_name_of_any_characters_may_submit(queue, monkeypatch, name, user):
    monkeypatch.setattr("getpass.getuser", lambda: name)
    handssl.submit(study())
    assert queue.queue.get(told_id(queue)).user == user


@pytest.mark.parametrize("asked", [{"queue": "Night!"}, {"priority": 101}, {"gpu_hours": -1.0}])
def test_python_is_reported_wrong_options_as_of_wrong_studies(asked):
    with pytest.raises(InputError, match=next(iter(asked))):
        handssl.submit(study(), **asked)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mlflow", "http://u:hunter2@h"], "MLFLOW_TRACKING_PASSWORD"),
        (["--mlflow", "https://hunter2@h"], "MLFLOW_TRACKING_USERNAME"),
        (["--mlflow", "postgresql://u:hunter2@h/mlflow"], "PGPASSWORD"),
        (["--ray", "http://u:hunter2@h:8265"], "RAY_AUTH_TOKEN_PATH"),
        (["--database", "postgres://u@h/db"], "write postgresql://"),
    ],
)
def test_a_service_takes_no_password_that_it_would_show(tmp_path, capsys, words, said):
    place = ["--storage", str(tmp_path / "new"), "--port", "0"]
    ray = [] if "--ray" in words else ["--ray", "http://x:1"]
    assert invoke(["serve", *place, *ray, *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "hunter2" not in told


def test_tokens_are_made_listed_and_revoked_on_the_head(queue, tmp_path, capsys, monkeypatch):
    place = ["--storage", str(tmp_path)]
    assert invoke(["token", "create", "eve", *place]) == 0
    viewer = capsys.readouterr().out.strip()
    assert invoke(["token", "create", "ada", "--role", "submitter", *place]) == 0
    submitter = capsys.readouterr().out.strip()
    with pytest.raises(UnauthorizedError):
        handssl.submit(study())
    with pytest.raises(ForbiddenError):
        handssl.submit(study(), token=viewer)
    monkeypatch.setenv("HANDSSL_TOKEN", submitter)
    assert handssl.submit(study()).status() == "queued"
    assert invoke(["token", "list", *place]) == 0
    shown = capsys.readouterr().out
    assert "ada\tsubmitter\tvalid" in shown
    assert submitter not in shown
    assert invoke(["token", "revoke", "ada", *place]) == 0
    with pytest.raises(UnauthorizedError):
        handssl.submit(study())


def test_a_service_is_not_open_to_a_network_without_tokens(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # put back afterwards
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")
    from handssl.service.options import Options
    from handssl.service.server import serve

    place = {"host": "0.0.0.0", "port": 0, "ray": "http://x:1"}
    options = Options(tmp_path, f"sqlite:///{tmp_path}/q.db", **place)
    with pytest.raises(InputError, match="handssl token create"):
        serve(options, print)


def test_a_port_that_is_taken_is_reported_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["serve", "--storage", str(tmp_path / "new"), "--port", port, "--ray", "http://x:1"]
        assert invoke(words) == 2
    told = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in told
    assert "choose another port" in told
    assert not (tmp_path / "new").exists()


def test_draining_starts_nothing_more_and_is_reported(queue, tmp_path, capsys):
    place = ["--storage", str(tmp_path)]
    assert invoke(["jobs", "drain", "--wait", *place]) == 0
    assert "nothing new is started" in capsys.readouterr().out
    url = os.environ["HANDSSL_SERVICE"]
    assert requests.get(f"{url}/api/service", timeout=30).json()["draining"]
    assert "Draining" in requests.get(url, timeout=30).text
    assert invoke(["jobs", "drain", "--off", *place]) == 0
    assert not requests.get(f"{url}/api/service", timeout=30).json()["draining"]


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "backup", "copy"],
        ["jobs", "drain", "--wait"],
        ["token", "list"],
        ["token", "revoke", "ada"],
    ],
)
def test_a_queue_that_is_not_there_is_reported_and_not_made(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HANDSSL_SERVICE_DATABASE", raising=False)
    assert invoke([*words, "--storage", str(tmp_path / "typo")]) == 2
    assert "typo/service.db, found none; give the same --storage" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_cannot_be_written_says_so(queue, tmp_path, capsys):
    (tmp_path / "file").touch()
    target = str(tmp_path / "file" / "today")
    assert invoke(["jobs", "backup", target, "--storage", str(tmp_path)]) == 3
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


def test_a_storage_that_cannot_be_made_is_reported_when_a_service_is_started(tmp_path, capsys):
    (tmp_path / "file").touch()
    for ray in ("local", "http://x:1"):
        words = ["--storage", str(tmp_path / "file" / "runs"), "--port", "0", "--ray", ray]
        assert invoke(["serve", *words]) == 3
        assert "choose a storage that can be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("queues", "said"),
    [
        (["GPU=2"], "lower-case letters"),
        (["a_b=2"], "lower-case letters"),
        (["x" * 33 + "=1"], "up to 32"),
        (["day=2", "day=3"], "day twice"),
        (["day=0"], "at least 1"),
    ],
)
def test_a_queue_that_no_job_could_ask_for_is_refused(tmp_path, capsys, queues, said):
    words = [word for queue in queues for word in ("--queue", queue)]
    place = ["--storage", str(tmp_path / "new"), "--port", "0", "--ray", "http://x:1"]
    assert invoke(["serve", *place, *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["jobs", "wait", "j1"], ["submit", "FILE", "--wait"]])
def test_a_token_that_does_not_hold_is_no_failed_job(queue, file, capsys, monkeypatch, words):
    queue.tokens.create("eve", "viewer")
    for secret in ("handssl_revoked", ""):
        monkeypatch.setenv("HANDSSL_TOKEN", secret)
        assert invoke([file if word == "FILE" else word for word in words]) == 2
        assert "token" in capsys.readouterr().err


def test_a_running_job_is_said_to_be_asked(queue, file, capsys):
    invoke(["submit", file])
    queue.lease.take()
    [job] = admit(queue.queue, queue.lease, queue.limits, lambda *_: None)
    capsys.readouterr()
    assert invoke(["jobs", "cancel", job.id]) == 0
    assert capsys.readouterr().out == f"{job.id}: running, asked to cancel\n"
    assert told(capsys, "jobs", "cancel", job.id) == {"job": job.id, "state": "running"}


def test_the_list_of_jobs_cuts_no_name(queue, capsys):
    [(job, _)] = queue.queue.submit([JobRequest(study=study("n" * 64))], user="u" * 40)
    assert invoke(["jobs", "list"]) == 0
    shown = capsys.readouterr().out
    rows = shown[shown.index(job.id) :]
    assert (rows.count("n"), rows.count("u")) == (64, 43)  # `queued` and `default` have three
