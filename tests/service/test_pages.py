"""The page in a real browser: what it shows, that everybody can use it, with 0, 1 and 200 jobs."""

from __future__ import annotations

import html
import re
import subprocess

import cv2
import numpy as np
import pytest
import requests

from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.dispatch.progress import Progress
from handssl.service.queue.admission import Limits, admit
from handssl.service.queue.job import JobRequest
from handssl.service.web.app import create_app
from tests.browser import FLAGS, PROBE, axe, browse, probe
from tests.service import services
from tests.service.results import STUDY, with_results
from tests.service.services import served, service, study

CURVE = ((0.0, 40.0), (1.0, 30.0), (5.0, 22.5))
PROGRESS = Progress(
    3, 10, {"completed": 3, "running": 2}, "relative rotate", 22.5, 25.0, CURVE, 0.5, 90.0, 1234.0
)


@pytest.fixture
def probed(monkeypatch):
    """Pages carry axe and a script that asks it; both come from the service, as its rules want."""

    def create(of):
        from fastapi import Response

        app = create_app(of)
        for name, text in (("axe", axe()), ("probe", PROBE)):
            app.add_api_route(
                f"/static-{name}.js",
                lambda text=text: Response(text, media_type="text/javascript"),
            )

        @app.middleware("http")
        async def add(request, call_next):
            answer = await call_next(request)
            if "text/html" not in answer.headers.get("content-type", ""):
                return answer
            body = b"".join([piece async for piece in answer.body_iterator])
            tags = b'<script src="/static-axe.js"></script><script src="/static-probe.js"></script>'
            headers = dict(answer.headers) | {"content-length": str(len(body) + len(tags))}
            return Response(body + tags, answer.status_code, headers)

        return app

    monkeypatch.setattr(services, "create_app", create)


def fill(of, count: int) -> list[str]:
    """Queue so many jobs in all states, the first of them running."""
    of.lease.take()
    requests_ = [JobRequest(study=study(f"study-{n:03d}"), retries=0) for n in range(count)]
    names = [job.id for job, _ in of.queue.submit(requests_, user="ada")] if count else []
    admit(of.queue, of.lease, Limits({"default": 3}), lambda *_: None)
    for name, code in zip(names[1:3], (0, 2), strict=False):
        finish(of.queue, name, 1, Outcome("exited", code))
    for name in names[3:6]:
        of.queue.cancel(name)
    return names


@pytest.mark.parametrize("width", [1200, 420])
@pytest.mark.parametrize("count", [0, 1, 200])
def test_the_queue_is_legible_and_accessible(probed, chromium, tmp_path, monkeypatch, count, width):
    of = service(tmp_path)
    fill(of, count)
    monkeypatch.setattr(of.board, "get", lambda job: PROGRESS)
    picture = tmp_path / "queue.png"
    with served(of) as url:
        page = browse(chromium, tmp_path, url, width=width)
        browse(chromium, tmp_path, url, width=width, picture=picture)
    found = probe(page)
    assert found["violations"] == []
    assert found["checked"] > 10
    assert found["wide"] <= 0
    shown = re.findall(r'<th scope="row"><a href="/jobs/(\w+)">(study-\d+)</a>', page)
    assert len(shown) == min(count, 50)
    if count:
        assert "3 of 10" in page
        assert "22.5 mm" in page
    else:
        assert "handssl submit smoke --wait" in page
    image = cv2.imread(str(picture))
    assert image.shape == (900, width, 3)
    rows = (image.reshape(900, -1).astype(int).std(axis=1) > 3).sum()
    assert rows > (70 if count < 200 else 400)  # a blank page has the header alone, 43


def test_a_job_shows_progress_curve_history_log_and_links(probed, chromium, tmp_path, monkeypatch):
    of = service(tmp_path, mlflow_url=lambda: "http://m", ray_url=lambda: "http://r")
    [name] = fill(of, 1)
    monkeypatch.setattr(of.board, "get", lambda job: PROGRESS)
    log = of.home.log(name)
    log.parent.mkdir(parents=True)
    log.write_text("first <b>line</b>\n")
    with served(of) as url:
        page = browse(chromium, tmp_path, f"{url}/jobs/{name}")
    found = probe(page)
    assert (found["violations"], found["wide"]) == ([], 0)
    for text in (
        *("relative rotate: median 22.5 mm, MPJE 25.0 mm", "3 of 10 done", "1 min 30 s left"),
        *("MLflow experiment", f"http://r/#/jobs/handssl-{name}-1", "started", "22.5 mm after"),
        *("first &lt;b&gt;line&lt;/b&gt;", "Pause", "Cancel", "Reprioritise"),
    ):
        assert text in page
    assert "Retry" not in page


@pytest.mark.parametrize("width", [1200, 420])
def test_a_job_shows_its_best_cells_to_everybody(probed, chromium, tmp_path, width):
    of, name = with_results(tmp_path)
    of.results.ask(STUDY).result(60)
    with served(of) as url:
        page = browse(chromium, tmp_path, f"{url}/jobs/{name}", width=width)
    found = probe(page)
    assert (found["violations"], found["wide"]) == ([], 0)
    assert re.search(r'<th scope="row">rotate</th>.*?61\.0.*?48\.3 to 73\.7', page, re.S)


def test_the_report_of_a_job_is_shown_under_its_policy_with_its_style(chromium, tmp_path):
    of, name = with_results(tmp_path)
    with served(of) as url:
        words = [
            chromium,
            *FLAGS,
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path}/chromium",
        ]
        words += ["--dump-dom", f"{url}/api/jobs/{name}/report"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert "<h1>Study demo</h1>" in done.stdout
    assert "Content Security Policy" not in done.stderr  # how the browser tells of what it blocked


def test_nothing_however_long_makes_a_page_wider_than_the_window(
    probed, chromium, tmp_path, monkeypatch
):
    of = service(tmp_path)
    of.queue.submit([JobRequest(study=study("x" * 64), retries=0)], user="u" * 64)
    of.lease.take()
    [job] = admit(of.queue, of.lease, of.limits, lambda *_: None)
    finish(of.queue, job.id, 1, Outcome("lost", message="/a/path/without/spaces" * 20))
    monkeypatch.setattr(of.board, "get", lambda job: PROGRESS)
    with served(of) as url:
        for path in ("/", f"/jobs/{job.id}", "/jobs/" + "j" * 200):
            found = probe(browse(chromium, tmp_path, url + path, width=420))
            assert (found["violations"], found["wide"]) == ([], 0), path


def test_the_buttons_of_a_job_follow_its_state_while_the_page_is_open(tmp_path):
    of = service(tmp_path)
    name = of.queue.submit([JobRequest(study=study())], user="ada")[0][0].id
    with served(of) as url:
        for ask, shown in ((of.queue.pause, "Resume"), (of.queue.cancel, "Retry")):
            ask(name)
            part = requests.get(f"{url}/jobs/{name}?part=true", timeout=30).text
            assert f"<button>{shown}</button>" in part
            assert "<button>Pause</button>" not in part


def test_a_page_beyond_the_last_job_does_not_say_that_there_are_none(tmp_path):
    of = service(tmp_path)
    fill(of, 1)
    with served(of) as url:
        page = requests.get(f"{url}/?offset=50", timeout=30).text
    assert "Nothing has been submitted" not in page
    assert "first page" in page


def test_jobs_of_a_queue_that_is_no_longer_served_are_reported(tmp_path):
    before = service(tmp_path, limits=Limits({"default": 1, "night": 1}))
    before.queue.submit([JobRequest(study=study(), queue="night")], user="ada")
    with served(before) as url:
        assert "night=N" not in requests.get(url, timeout=30).text
    with served(service(tmp_path)) as url:
        assert "1 waiting in queue night, which" in requests.get(url, timeout=30).text


def test_buttons_do_what_they_say(tmp_path):
    of = service(tmp_path)
    name = of.queue.submit([JobRequest(study=study())], user="ada")[0][0].id
    with served(of) as url:
        for verb, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
            place, form = f"{url}/jobs/{name}/do", {"verb": verb}
            assert requests.post(place, data=form, timeout=30).status_code == 200
            assert of.queue.get(name).state == state
        again = requests.post(place, data={"verb": "retry"}, timeout=30)
        assert again.status_code == 200
        requests.post(place, data={"verb": "reprioritise", "priority": "7"}, timeout=30)
        assert of.queue.get(name).priority == 7
        empty = requests.post(place, data={"verb": "reprioritise", "priority": ""}, timeout=30)
        assert (empty.status_code, of.queue.get(name).priority) == (422, 7)
        wrong = requests.post(place, data={"verb": "explode"}, timeout=30)
        assert (wrong.status_code, "expected one of" in wrong.text) == (422, True)


def test_the_page_asks_for_a_token_and_keeps_it_where_scripts_cannot_see_it(
    probed, chromium, tmp_path
):
    of = service(tmp_path)
    secret = of.tokens.create("eve", "viewer")
    name = of.queue.submit([JobRequest(study=study())], user="ada")[0][0].id
    with served(of) as url:
        page = browse(chromium, tmp_path, url)
        assert probe(page)["violations"] == []
        assert 'type="password"' in page
        browser = requests.Session()
        wrong = browser.post(f"{url}/login", data={"token": "nope"}, timeout=30)
        assert (wrong.status_code, "not valid" in wrong.text) == (401, True)
        answer = browser.post(
            f"{url}/login", data={"token": f" {secret}\n"}, timeout=30, allow_redirects=False
        )
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        shown = browser.get(f"{url}/jobs/{name}", timeout=30)
        assert shown.status_code == 200
        assert "<button>Cancel</button>" not in shown.text
        assert "default-src 'self'" in shown.headers["content-security-policy"]
        browser.post(f"{url}/logout", timeout=30)
        assert browser.get(f"{url}/jobs/{name}", timeout=30).url == f"{url}/login"


def test_a_page_that_is_not_there_says_so(tmp_path):
    with served(service(tmp_path)) as url:
        answer = requests.get(f"{url}/jobs/jnone", timeout=30)
        assert (answer.status_code, "There is no such page" in answer.text) == (404, True)
        for path in ("/jobs/..%2f..%2fetc", "/static/../app.py", "/static/%2e%2e/app.py"):
            assert requests.get(url + path, timeout=30).status_code in (404, 422)


@pytest.mark.parametrize("offset", [-1, 10**23, 2**63, "x"])
def test_a_page_beyond_every_queue_is_refused(tmp_path, offset):
    with served(service(tmp_path)) as url:
        answer = requests.get(url, params={"offset": offset}, timeout=30)
    assert (answer.status_code, "offset" in answer.text) == (422, True)


def test_the_part_that_refreshes_is_a_part_of_the_page(tmp_path):
    of = service(tmp_path)
    fill(of, 3)
    with served(of) as url:
        part = requests.get(f"{url}/?part=true", timeout=30).text
        assert part.strip().startswith("<p")
        assert part.count("<tr>") == 4
        first = re.search(r"/jobs/(\w+)", part)[1]
        detail = requests.get(f"{url}/jobs/{first}?part=true", timeout=30).text
        assert detail.strip().startswith('<div class="buttons">')


def test_pictures_have_room_for_a_single_point():
    from handssl.service.web.curve import curve

    drawn = curve(((0.0, 31.0),))
    assert np.isfinite([dot[:2] for dot in drawn.dots]).all()


def test_the_api_is_described_on_a_page_that_needs_no_network(probed, chromium, tmp_path):
    with served(service(tmp_path)) as url:
        page = browse(chromium, tmp_path, f"{url}/docs")
        described = requests.get(f"{url}/openapi.json", timeout=30).json()["paths"]
    assert probe(page)["violations"] == []
    for path, verbs in described.items():
        for verb in verbs:
            assert f"{verb.upper()} {html.escape(path)}" in page
    assert "application/yaml" in page
    assert page.count("<code>gpu_hours</code>") == 2  # to submit and to retry
    assert "<code>jobs</code>" in page
    assert not re.search(r"(src|href)=\"https?://", page)
