"""The HTTP API over a real socket: who may do what, what is refused, and how it is said."""

from __future__ import annotations

import json
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import yaml

from handssl.errors import InputError
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.queue.admission import Limits, admit
from handssl.service.queue.policy import Policy
from handssl.service.web import request_body
from handssl.service.web.middleware import MOST_YAML_BYTES
from tests.service.services import served, service, study

LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.fixture
def lab(tmp_path):
    """A service without tokens, and its URL."""
    of = service(tmp_path, limits=Limits({"default": 1, "night": 1}))
    with served(of) as url:
        of.url = url
        yield of, url


@pytest.fixture
def guarded(lab):
    """The same with three tokens."""
    of, url = lab
    names = {"ada": "submitter", "bob": "submitter", "eve": "viewer"}
    return of, url, {name: of.tokens.create(name, role) for name, role in names.items()}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def post(url: str, path: str = "/api/jobs", **values) -> requests.Response:
    return requests.post(url + path, timeout=30, **values)


def test_a_study_is_submitted_shown_listed_and_cancelled(lab):
    _of, url = lab
    answer = post(url, json={"study": study(), "priority": 3}, headers={"X-Handssl-User": "ada"})
    assert answer.status_code == 201
    job = answer.json()
    assert (job["state"], job["user"], job["priority"], job["is_new"]) == ("queued", "ada", 3, True)
    assert job["position"] == 1
    assert post(url, json={"study": study()}).status_code == 200
    listed = requests.get(f"{url}/api/jobs", timeout=30).json()
    assert [one["id"] for one in listed["jobs"]] == [job["id"]]
    assert listed["jobs"][0]["position"] == 1
    detail = requests.get(f"{url}/api/jobs/{job['id']}", timeout=30).json()
    assert detail["study"] == study()
    assert [one["state"] for one in detail["history"]] == ["queued"]
    moved = requests.patch(f"{url}/api/jobs/{job['id']}", json={"priority": -4}, timeout=30)
    assert moved.json()["priority"] == -4
    for verb, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert post(url, f"/api/jobs/{job['id']}/{verb}").json()["state"] == state
    again = post(url, f"/api/jobs/{job['id']}/retry", json={"gpu_hours": 2.5}).json()
    assert (again["state"], again["gpu_hours"]) == ("queued", 2.5)


def test_curl_sends_the_file_of_a_study_as_it_is(lab):
    _, url = lab
    text = yaml.safe_dump(study("by-curl"))
    kind = {"Content-Type": "application/yaml"}
    answer = post(url, "/api/jobs?priority=5&queue=night&again=true", data=text, headers=kind)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["study"], answer.json()["priority"]) == ("by-curl", 5)
    assert answer.json()["queue"] == "night"


def test_a_batch_is_queued_all_or_none(lab):
    of, url = lab
    good, bad = {"study": study("a")}, {"study": study("b", blocks=[])}
    answer = post(url, "/api/jobs/batch", json={"jobs": [good, bad]})
    assert answer.status_code == 422
    assert "blocks" in answer.json()["detail"]
    assert of.queue.depth() == {}
    found = post(url, "/api/jobs/batch", json={"jobs": [good, good]}).json()
    assert [one["is_new"] for one in found] == [True, False]


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"{", "application/json", 422, "JSON"),
        (b"\xff", "application/yaml", 422, "YAML"),
        (b"[" * 50_000, "application/json", 422, "cannot be read"),
        (b"[" * 5_000, "application/yaml", 422, "cannot be read"),
        (LAUGHS.encode(), "application/yaml", 422, "aliases"),
        (b'{"study": {"name": "x", "cells": []}}', "application/json", 422, "cell"),
        (b'{"study": {}, "study": {}}', "application/json", 422, "each key once, got study"),
        (b"name: x\nname: y", "application/yaml", 422, "line 2, column 1: expected each key"),
        (b'{"study": {"name": NaN}}', "application/json", 422, "NaN"),
        (json.dumps({"study": study(), "prority": 1}).encode(), "text/plain", 422, "priority"),
        (json.dumps({"study": study(), "queue": "nite"}).encode(), "", 422, "default, night"),
        (b"!!python/object/apply:os.system [id]", "application/yaml", 422, "YAML"),
        (b"a: !!set {x}", "application/yaml", 422, "line 1, column 4: expected YAML without tags"),
        (b"a: [1,\nb: 2", "application/yaml", 422, "line 3, column 1"),
        (b"a: 0001-01-01T00:00:00+23:59", "application/yaml", 422, "study.a: expected a text"),
        (b"a: 1" + b":1" * 1000 + b".5", "application/yaml", 422, "YAML"),
        (b"a: 1" + b":1" * 10_000, "application/yaml", 422, "quotes"),
        (b"a: 0x" + b"f" * 9_000, "application/yaml", 422, "study.a: expected a number below"),
        (b"a: {on: 1}", "application/yaml", 422, "study.a: expected a text as key, got a bool"),
        (b"a: 2001-01-01", "application/yaml", 422, "study.a: expected a text"),
        (b"a: [.nan]", "application/yaml", 422, "study.a.0: expected a finite number, got nan"),
        (b"a: b\n---\nc: d", "application/yaml", 422, "another document"),
        (b"#" * (MOST_YAML_BYTES + 1), "application/yaml", 413, "as JSON"),
        (b'{"study": {"a": 1e400}}', "application/json", 422, "study.a: expected a finite number"),
        (b'{"study": {"\\ud800": "/etc"}}', "application/json", 422, "study: expected characters"),
        (b'{"study": {"a": ["\\ud800"]}}', "application/json", 422, "study.a.0: expected chara"),
        (b'{"\\ud800": 1, "study": {}}', "application/json", 422, "(top level): expected chara"),
        (b'{"study": {"\\ud800": {"a": 1e400}}}', "application/json", 422, "\\ud800.a: expected a"),
        (b"", "application/json", 422, "JSON"),
        (b"null", "application/json", 422, "request"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(lab, body, kind, status, said):
    of, url = lab
    answer = post(url, data=body, headers={"Content-Type": kind})
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert of.queue.depth() == {}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("NaN", "jobs.1.study.blocks.0: expected a finite number"),
        ("1e400", "jobs.1.study.blocks.0: expected a finite number"),
        ('"\\ud800"', "jobs.1.study.blocks.0: expected characters of Unicode"),
        ("[" * 50 + "]" * 50, "at most 40 levels"),
        ("1" + "0" * 20, "jobs.1.study.blocks.0: expected a number below"),
    ],
)
def test_a_batch_is_plain_data_too(lab, value, said):
    of, url = lab
    good, bad = json.dumps(study("a")), json.dumps(study("b", blocks=[0])).replace("[0]", "[@]")
    body = f'{{"jobs": [{{"study": {good}}}, {{"study": {bad.replace("@", value)}}}]}}'
    answer = post(url, "/api/jobs/batch", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text
    assert of.queue.depth() == {}


def test_what_no_operation_knows_is_refused_and_not_passed_over(lab):
    of, url = lab
    name = post(url, json={"study": study()}).json()["id"]
    job, kind = f"/api/jobs/{name}", {"Content-Type": "Application/YAML"}
    answers = [
        post(url, "/api/jobs/batch", json={"jobs": [{"study": study("a")}], "priority": 5}),
        post(url, "/api/jobs?priority=5", json={"study": study("b")}),
        requests.patch(url + job, json={"priority": 5, "queue": "night"}, timeout=30),
        post(url, f"{job}/retry", json={"gpuhours": 5}),
    ]
    assert [answer.status_code for answer in answers] == [422] * 4
    assert "got priority in the query" in answers[1].json()["detail"]
    assert of.queue.get(name).priority == 0
    as_curl_does = post(url, data=yaml.safe_dump(study("c")))
    assert "Content-Type: application/yaml" in as_curl_does.json()["detail"]
    assert post(url, data=yaml.safe_dump(study("c")), headers=kind).status_code == 201


def test_the_document_of_the_api_leads_nowhere_astray(lab):
    _, url = lab
    document = requests.get(f"{url}/openapi.json", timeout=30).json()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found = document
        for word in reference.split("/"):
            found = found[word]
    assert {"200", "201"} <= set(document["paths"]["/api/jobs"]["post"]["responses"])


def test_a_study_that_takes_long_to_read_lets_others_ask(lab, monkeypatch):
    _, url = lab
    reads, told = threading.Event(), threading.Event()

    def slow(body):
        reads.set()
        assert told.wait(30)
        return study("slow")

    monkeypatch.setattr(request_body, "study_of_yaml", slow)
    kind = {"Content-Type": "application/yaml"}
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(post, url, data="slow", headers=kind)
        assert reads.wait(30)
        assert requests.get(f"{url}/healthz", timeout=30).status_code == 200
        assert not answer.done()
        told.set()
        assert answer.result().status_code == 201


def test_libyaml_reads_studies_where_it_is_there():
    assert request_body._LOADER is yaml.CSafeLoader or not yaml.__with_libyaml__


def test_yaml_is_read_without_libyaml_too(monkeypatch):
    monkeypatch.setattr(request_body, "_LOADER", yaml.SafeLoader)
    assert request_body.study_of_yaml(yaml.safe_dump(study()).encode()) == study()
    for body in (LAUGHS, "a: !!set {x}", "[" * 5000, "a: [1,\nb: 2"):
        with pytest.raises(InputError, match=r"cannot be read: line \d"):
            request_body.study_of_yaml(body.encode())


def test_large_requests_are_refused_also_when_they_do_not_say_how_large(lab):
    _, url = lab
    large = b'{"study": "' + b"x" * (3 * 2**20) + b'"}'
    assert post(url, data=large).status_code == 413
    pieces = (large[i : i + 65_536] for i in range(0, len(large), 65_536))
    assert post(url, data=pieces).status_code == 413


def test_everything_wants_a_token_once_there_is_one(guarded):
    of, url, secrets = guarded
    with_one = requests.get(f"{url}/api/jobs", headers=bearer(secrets["eve"]), timeout=30)
    assert with_one.status_code == 200
    for path in ("/api/jobs", "/api/service", "/metrics", "/api/jobs/j1", "/api/jobs/j1/log"):
        for headers in ({}, bearer("handssl_wrong"), {"Authorization": "Basic YTpi"}):
            answer = requests.get(url + path, headers=headers, timeout=30)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert post(url, json={"study": study()}).status_code == 401
    of.tokens.revoke("eve")
    later = requests.get(f"{url}/api/jobs", headers=bearer(secrets["eve"]), timeout=30)
    assert later.status_code == 401


def test_a_viewer_changes_nothing_and_nobody_the_jobs_of_others(guarded):
    of, url, secrets = guarded
    ada, bob, eve = (bearer(secrets[name]) for name in ("ada", "bob", "eve"))
    assert post(url, json={"study": study()}, headers=eve).status_code == 403
    job = post(url, json={"study": study()}, headers=ada | {"X-Handssl-User": "bob"}).json()
    assert job["user"] == "ada"
    for headers in (bob, eve):
        for verb in ("cancel", "pause", "resume", "retry"):
            answer = post(url, f"/api/jobs/{job['id']}/{verb}", headers=headers)
            assert answer.status_code == 403
        place = f"{url}/api/jobs/{job['id']}"
        moved = requests.patch(place, json={"priority": 1}, headers=headers, timeout=30)
        assert moved.status_code == 403
        form = {"verb": "cancel"}
        assert post(url, f"/jobs/{job['id']}/do", data=form, headers=headers).status_code == 403
    assert of.queue.get(job["id"]).state == "queued"
    assert post(url, f"/api/jobs/{job['id']}/cancel", headers=ada).status_code == 200


def test_pages_of_other_sites_cannot_act_for_somebody(guarded):
    of, url, secrets = guarded
    browser = requests.Session()
    browser.post(f"{url}/login", data={"token": secrets["ada"]}, timeout=30)
    job = browser.post(f"{url}/api/jobs", json={"study": study()}, timeout=30).json()
    form, path = {"verb": "cancel"}, f"{url}/jobs/{job['id']}/do"
    evil = {"Origin": "http://evil.example"}
    assert browser.post(path, data=form, headers=evil, timeout=30).status_code == 403
    for foreign in ("/login", "/logout"):
        body = {"token": secrets["bob"]}
        assert browser.post(url + foreign, data=body, headers=evil, timeout=30).status_code == 403
    shown = browser.post(path, data=form, headers={"Origin": url}, timeout=30)
    assert shown.url == f"{url}/jobs/{job['id']}"
    assert of.queue.get(job["id"]).state == "cancelled"


@pytest.mark.parametrize("origin", ["http://[", "null", "//", "http://[::1", "x"])
def test_an_origin_that_is_none_is_another_site(lab, origin):
    _, url = lab
    answer = post(url, json={"study": study()}, headers={"Origin": origin})
    assert (answer.status_code, "another site" in answer.text) == (403, True)


@pytest.mark.parametrize("host", ["rebound.example", "[", "[::1", "", "127.0.0.1.evil.example"])
def test_without_tokens_only_names_of_this_machine_are_served(lab, host):
    _, url = lab
    answer = requests.get(f"{url}/api/jobs", headers={"Host": host}, timeout=30)
    assert (answer.status_code, "handssl token create" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        *(("127.0.0.1", 200), ("127.9.9.9", 200), ("::1", 200), ("::ffff:127.0.0.1", 200)),
        *(("192.0.2.7", 403), ("::ffff:192.0.2.7", 403), ("fe80::1%eth0", 403), ("odd", 403)),
    ],
)
def test_without_tokens_only_this_machine_is_served_whatever_name_it_is_called(
    lab, address, status
):
    _, url = lab
    # uvicorn takes the address that a proxy on this machine tells for that of the client.
    headers = {"Host": "localhost", "X-Forwarded-For": address}
    answer = requests.get(f"{url}/api/jobs", headers=headers, timeout=30)
    assert answer.status_code == status


def test_revoking_the_last_token_lets_nobody_in(guarded):
    of, url, secrets = guarded
    job = post(url, json={"study": study()}, headers=bearer(secrets["ada"])).json()
    for name in secrets:
        of.tokens.revoke(name)
    for headers in ({}, {"Host": "localhost"}, bearer(secrets["ada"])):
        assert requests.get(f"{url}/api/jobs", headers=headers, timeout=30).status_code == 401
        cancelled = post(url, f"/api/jobs/{job['id']}/cancel", headers=headers)
        assert cancelled.status_code == 401
    assert of.queue.get(job["id"]).state == "queued"


def test_states_that_do_not_allow_it_and_jobs_that_are_not_there(lab):
    of, url = lab
    job = post(url, json={"study": study()}).json()
    of.lease.take()
    admit(of.queue, of.lease, of.limits, lambda *_: None)
    finish(of.queue, job["id"], 1, Outcome("exited", 0))
    answer = post(url, f"/api/jobs/{job['id']}/cancel")
    assert (answer.status_code, "succeeded" in answer.json()["detail"]) == (409, True)
    assert post(url, "/api/jobs/jnone/cancel").status_code == 404
    assert requests.get(f"{url}/api/jobs/jnone/log", timeout=30).status_code == 404
    assert requests.get(f"{url}/api/nothing", timeout=30).status_code == 404


def test_code_and_files_that_are_not_allowed_are_refused_and_not_imported(tmp_path, monkeypatch):
    (tmp_path / "mine_own.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with served(service(tmp_path, policy=Policy(modules=("lab",)))) as url:
        for pretrain in (
            {"encoder": {"name": "mine_own:x"}},
            {"augmentation": {"custom": ["mine_own:x"]}},
        ):
            answer = post(url, json={"study": study(pretrain=pretrain)})
            assert (answer.status_code, "allow-code" in answer.json()["detail"]) == (422, True)
        kind = {"Content-Type": "application/yaml"}
        for own in (
            "!!set {'mine_own:x'}",
            "[!!binary bWluZV9vd246eA==]",
            "!!omap [mine_own:x: 1]",
        ):
            body = f"{yaml.safe_dump(study())}pretrain: {{augmentation: {{own: {own}}}}}"
            answer = post(url, data=body, headers=kind)
            assert (answer.status_code, "without tags" in answer.json()["detail"]) == (422, True)
        assert "mine_own" not in sys.modules


def test_a_log_is_followed_by_its_offset(lab):
    of, url = lab
    job = post(url, json={"study": study()}).json()
    place = f"{url}/api/jobs/{job['id']}/log"
    assert requests.get(place, timeout=30).json() == {"text": "", "offset": 0, "state": "queued"}
    log = of.home.log(job["id"])
    log.parent.mkdir(parents=True)
    log.write_bytes("erste Zeile ä\n".encode() + b"\xff second\n")
    first = requests.get(place, timeout=30).json()
    assert first["text"] == "erste Zeile ä\n� second\n"
    with log.open("a") as file:
        file.write("third\n")
    asked = {"offset": first["offset"]}
    assert requests.get(place, params=asked, timeout=30).json()["text"] == "third\n"
    assert requests.get(place, params={"offset": -6}, timeout=30).json()["text"] == "third\n"


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/jobs", "/metrics", "/static/style.css"])
def test_monitors_may_ask_without_reading(lab, path):
    _, url = lab
    asked, read = requests.head(url + path, timeout=30), requests.get(url + path, timeout=30)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-type"] == read.headers["content-type"]
    assert requests.head(f"{url}/api/jobs/jnone", timeout=30).status_code == 404


def test_how_the_service_stands(lab):
    _of, url = lab
    post(url, json={"study": study()})
    found = requests.get(f"{url}/api/service", timeout=30).json()
    assert found["depth"] == {"default": {"queued": 1}, "night": {}}
    assert (found["dispatcher"], found["draining"], found["queues"]) == (
        *("", False),
        {"default": 1, "night": 1},
    )


def test_a_database_that_is_away_is_said_and_nothing_breaks(lab, monkeypatch):
    from handssl.errors import DataError

    of, url = lab

    def away(*_, **__):
        raise DataError("queue: gone; is the server up?")

    monkeypatch.setattr(of.queue.database, "begin", away)
    answer = requests.get(f"{url}/api/jobs", timeout=30)
    assert (answer.status_code, answer.json()["detail"]) == (503, "queue: gone; is the server up?")
    assert requests.get(f"{url}/healthz", timeout=30).status_code == 503
