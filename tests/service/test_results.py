"""Results of a job over a real socket: who gets what, made once, and nothing of other studies."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from scipy import stats

from handssl.errors import DataError
from handssl.ledger import Ledger
from handssl.report.formats.trials_csv import trials_csv
from handssl.report.of_study import study_report
from handssl.service.queue.job import JobRequest
from handssl.service.results.child import Request
from handssl.service.results.making import Maker
from tests.service.results import (
    STUDY,
    VALUES,
    Counting,
    add_trial,
    trial_id,
    weights_file,
    with_results,
)
from tests.service.services import served, service, study


@pytest.fixture
def lab(tmp_path):
    """A service with a job that has results, and the URL of the job."""
    of, job = with_results(tmp_path)
    with served(of) as url:
        yield of, f"{url}/api/jobs/{job}"


def get(url: str, **values) -> requests.Response:
    return requests.get(url, timeout=60, **values)


def test_the_result_has_the_cells_in_order_with_means_and_intervals_of_their_trials(lab):
    _, url = lab
    found = get(f"{url}/result").json()
    [section] = found["sections"]
    ranked = [cell for cell in section["cells"] if cell["rank"]]
    assert [cell["cell"] for cell in ranked] == ["relative rotate", "contrastive blur"]
    for cell in ranked:
        values = VALUES[cell["cell"]]
        mean = sum(values) / 2
        assert cell["median_mm"] == pytest.approx(mean)
        ends = stats.t.interval(0.95, 1, loc=mean, scale=stats.sem(values))
        assert cell["interval_mm"] == pytest.approx(ends)
        assert cell["blocks"] == [1, 2]
    assert (section["cells"][2]["cell"], section["cells"][2]["rank"]) == ("contrastive noise", None)
    assert [one["trial_id"] for one in found["trials"]] == [trial_id(n) for n in range(1, 6)]
    assert [one["has_weights"] for one in found["trials"]] == [True] * 4 + [False]
    assert found["best"] == {
        "trial_id": trial_id(1),
        "cell": "relative rotate",
        "block": 1,
        "median_mm": 60.0,
    }
    assert "relative rotate" in found["headline"][0]


def test_the_report_comes_in_every_format(lab, tmp_path):
    of, url = lab
    expected = study_report(STUDY, tmp_path, of.home.tracking_uri)
    answers = {form: get(f"{url}/report?format={form}") for form in ("markdown", "latex", "csv")}
    assert answers["csv"].text == trials_csv(expected)
    assert len(list(csv.DictReader(io.StringIO(answers["csv"].text)))) == 5
    assert r"\begin{tabular}" in answers["latex"].text
    assert answers["markdown"].text.startswith("# Study demo\n")
    for form, kind in (("markdown", "markdown"), ("latex", "x-tex"), ("csv", "csv")):
        assert f"/{kind};" in answers[form].headers["Content-Type"]
    assert get(f"{url}/report?format=docx").status_code == 422
    for one in answers.values():
        digest = base64.b64encode(hashlib.sha256(one.content).digest()).decode()
        assert one.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_the_page_may_use_its_own_style_and_nothing_else(lab):
    _, url = lab
    answer = get(f"{url}/report")
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = dict(
        one.strip().split(" ", 1) for one in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert " style=" not in answer.text  # would need 'unsafe-inline'
    assert policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_results_are_made_again_only_when_the_ledger_has_changed(lab, tmp_path):
    of, url = lab
    count = lambda: of.results._make.count  # noqa: E731
    for path in ("result", "report", "report?format=csv", "weights"):
        assert get(f"{url}/{path}").ok
    assert count() == 1
    add_trial(tmp_path, 11, "relative blur", 1, 2.0, study="third")
    assert get(f"{url}/result").ok
    assert count() == 1
    add_trial(tmp_path, 6, "relative blur", 1, 2.0)
    assert trial_id(6) in get(f"{url}/report?format=csv").text
    assert count() == 2
    Ledger(tmp_path).ask(STUDY, "pause")
    assert get(f"{url}/result").ok
    assert count() == 3


def test_weights_are_those_of_the_best_cell_or_of_a_trial_of_the_study(lab, tmp_path):
    _, url = lab
    for query, number in (("", 1), (f"?trial={trial_id(4)}", 4), ("?trial=44", 4)):
        answer = get(f"{url}/weights{query}")
        content = weights_file(tmp_path, number).read_bytes()
        assert answer.content == content
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
        assert answer.headers["X-Handssl-Trial"] == trial_id(number)


def test_a_part_of_the_weights_can_be_asked_for(lab, tmp_path):
    _, url = lab
    content = weights_file(tmp_path, 1).read_bytes()
    whole = get(f"{url}/weights", headers={"Range": "bytes=100-"})
    assert (whole.status_code, whole.content) == (206, content[100:])
    assert whole.headers["Content-Range"] == f"bytes 100-{len(content) - 1}/{len(content)}"
    tag = whole.headers["ETag"]
    same = get(f"{url}/weights", headers={"Range": "bytes=0-9", "If-Range": tag})
    assert (same.status_code, same.content) == (206, content[:10])
    other = get(f"{url}/weights", headers={"Range": "bytes=0-9", "If-Range": '"x"'})
    assert (other.status_code, other.content) == (200, content)
    assert get(f"{url}/weights", headers={"Range": "bytes=9999999-"}).status_code == 416


def test_nothing_outside_of_the_study_is_sent(lab, tmp_path):
    _, url = lab
    assert weights_file(tmp_path, 10).is_file()
    foreign = get(f"{url}/weights?trial={trial_id(10)}")
    assert foreign.status_code == 404
    assert foreign.json()["detail"].startswith("trial: expected")
    for name in ("../demo", "..%2F..%2Fledger.db", "%00", "/etc/passwd", "1" * 65, "A" * 16):
        assert get(f"{url}/weights?trial={name}").status_code == 422
    raw = url.removeprefix("http://").split("/")[0].split(":")
    with socket.create_connection((raw[0], int(raw[1])), timeout=30) as line:
        line.sendall(b"GET /api/jobs/../../ledger.db/weights HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.recv(100).split()[1] in (b"404", b"422")
    assert "secret" not in get(f"{url}/result").text


def test_what_is_not_there_yet_is_said(lab):
    of, url = lab
    stopped = get(f"{url}/weights?trial={trial_id(5)}")
    assert stopped.status_code == 409
    assert "has no weights yet: trial 5555" in stopped.json()["detail"]
    [(other, _)] = of.queue.submit([JobRequest(study=study("unheard"))], user="ada")
    for what in ("result", "report", "weights"):
        answer = get(f"{url.rpartition('/')[0]}/{other.id}/{what}")
        assert answer.status_code == 409
        assert answer.json()["detail"].startswith("study unheard has no results yet; ask again")
        assert get(f"{url.rpartition('/')[0]}/unknown/{what}").status_code == 404


def test_a_storage_without_any_results_is_no_error_of_the_service(tmp_path):
    of = service(tmp_path)
    [(job, _)] = of.queue.submit([JobRequest(study=study())], user="ada")
    with served(of) as url:
        assert get(f"{url}/api/jobs/{job.id}/result").status_code == 409
        assert get(f"{url}/jobs/{job.id}").ok
    assert not (tmp_path / "ledger.db").exists()


def test_those_may_fetch_who_may_look(lab):
    of, url = lab
    secret = of.tokens.create("eve", "viewer")
    for what in ("result", "report", "weights"):
        assert get(f"{url}/{what}").status_code == 401
        assert get(f"{url}/{what}", headers={"Authorization": f"Bearer {secret}"}).ok


class Slow(Counting):
    """Waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may = threading.Event(), threading.Event()

    def __call__(self, asked: Request):
        self.begun.set()
        assert self.may.wait(60)
        return super().__call__(asked)


def test_many_that_wait_for_a_report_block_nobody_and_it_is_made_for_all(lab):
    of, url = lab
    of.results._make = slow = Slow()
    with ThreadPoolExecutor(60) as pool:  # more than the service has threads
        waiting = [pool.submit(get, f"{url}/report") for _ in range(60)]
        assert slow.begun.wait(30)
        began_s = time.monotonic()
        assert get(f"{url.split('/api')[0]}/healthz").ok
        assert get(url).ok
        page = get(f"{url.split('/api')[0]}/jobs/{url.rpartition('/')[2]}")
        assert "<h2>Log</h2>" in page.text
        assert "<h2>Results</h2>" not in page.text
        assert time.monotonic() - began_s < 10
        assert not any(one.done() for one in waiting)
        slow.may.set()
        assert all(one.result().ok for one in waiting)
    assert slow.count == 1


def test_a_change_while_results_are_made_is_in_the_answer_to_a_later_request(lab, tmp_path):
    of, url = lab
    of.results._make = slow = Slow()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(get, f"{url}/result")
        assert slow.begun.wait(30)
        add_trial(tmp_path, 6, "relative blur", 1, 2.0)
        second = pool.submit(get, f"{url}/result")
        slow.may.set()
        assert first.result().ok
        assert trial_id(6) in second.result().text


def test_a_page_shows_the_best_cells_and_links_to_report_and_weights(lab):
    _, url = lab
    assert get(f"{url}/result").ok
    page = get(f"{url.split('/api')[0]}/jobs/{url.rpartition('/')[2]}").text
    cells = re.findall(r'<th scope="row">(.*?)</th>', page)
    assert cells == ["rotate", "blur", "noise"]
    assert '<td class="number">61.0</td><td class="number">48.3 to 73.7</td>' in page
    assert f"/weights?trial={trial_id(1)}" in page
    for link in re.findall(r'href="(/api/[^"]+)"', page):
        assert get(url.split("/api")[0] + link).ok


def test_a_page_refreshes_results_of_its_own_without_making_them_all_the_time(lab, tmp_path):
    of, url = lab
    page = f"{url.split('/api')[0]}/jobs/{url.rpartition('/')[2]}?part=true"
    assert "<h2>Results</h2>" not in get(page).text
    of.results.ask(STUDY).result(30)
    count = of.results._make.count
    add_trial(tmp_path, 6, "relative blur", 1, 2.0)
    of.results._rests_until_s[STUDY] = time.monotonic() + 1000
    for _ in range(3):
        assert "relative blur" not in get(page).text
    assert of.results._make.count == count
    of.results._rests_until_s[STUDY] = 0.0
    get(page)
    of.results.ask(STUDY).result(30)
    assert of.results._make.count == count + 1
    assert '<th scope="row">blur</th>' in get(page).text


def test_results_of_few_studies_are_kept_and_their_files_closed(tmp_path):
    of, _ = with_results(tmp_path)
    for n in range(20):
        add_trial(tmp_path, 100 + n, "relative rotate", 1, 50.0, study=f"s{n}")
        of.results.ask(f"s{n}").result(30)
    assert len(of.results._made) == 16
    of.close()


def test_a_report_that_cannot_be_made_is_said_with_its_reason(lab):
    of, url = lab

    def fail(asked):
        raise DataError("the report of study demo cannot be made: MemoryError")

    of.results._make = fail
    answer = get(f"{url}/result")
    assert answer.status_code == 503
    assert answer.json()["detail"].endswith("MemoryError")
    page = get(f"{url.split('/api')[0]}/jobs/{url.rpartition('/')[2]}")
    assert page.ok


@pytest.mark.faults
def test_the_process_of_its_own_makes_the_same_and_says_why_it_could_not(lab, tmp_path):
    of, _ = lab
    uri = of.home.tracking_uri
    asked = Request(study=STUDY, storage=tmp_path, tracking_uri=uri)
    make = Maker()
    here, there = Counting()(asked), make(asked)
    for part in ("csv", "latex"):
        assert there.read(part) == here.read(part)
    found = [json.loads(one.read("result")) | {"made_s": 0} for one in (here, there)]
    assert found[0] == found[1]
    with pytest.raises(DataError, match="expected results of a study, found none"):
        make(Request(study=STUDY, storage=tmp_path / "none", tracking_uri=uri))
