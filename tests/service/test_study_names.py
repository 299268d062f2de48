"""Names of studies: one user's each, also when several submit at the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests
import yaml

from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.queue.admission import admit
from tests.service.services import served, service, study

pytestmark = pytest.mark.faults

OTHER = {"blocks": [2]}


@pytest.fixture
def queue_of_two(tmp_path, queue_url):
    """A service over HTTP, and who may submit to it: users by their tokens' headers."""
    of = service(tmp_path, database=queue_url)
    secrets = {name: of.tokens.create(name, "submitter") for name in ("ada", "bob")}
    headers = {name: {"Authorization": f"Bearer {one}"} for name, one in secrets.items()}
    with served(of) as url:
        yield of, url, headers
    of.queue.database.close()


def submit(url, headers, **values):
    return requests.post(f"{url}/api/jobs", json=values, headers=headers, timeout=60)


def test_another_study_under_the_name_of_somebody_is_refused_with_what_to_write(queue_of_two):
    _, url, users = queue_of_two
    assert submit(url, users["ada"], study=study("grid")).status_code == 201
    answer = submit(url, users["bob"], study=study("grid", **OTHER))
    assert answer.status_code == 409
    assert "'grid' belongs to ada" in answer.json()["detail"]
    assert "--set name=bob-grid" in answer.json()["detail"]
    jobs = requests.get(f"{url}/api/jobs", headers=users["bob"], timeout=60).json()
    assert [job["user"] for job in jobs["jobs"]] == ["ada"]
    assert submit(url, users["bob"], study=study("bob-grid", **OTHER)).status_code == 201
    assert submit(url, users["ada"], study=study("grid", **OTHER)).status_code == 201


def test_no_way_of_submitting_gets_around_it(queue_of_two):
    of, url, users = queue_of_two
    job = submit(url, users["ada"], study=study("grid")).json()
    requests.post(f"{url}/api/jobs/{job['id']}/cancel", headers=users["ada"], timeout=60)
    mine = study("grid", **OTHER)
    for options in ({"priority": 100}, {"again": True}, {"how": {"workers": 2}}):
        assert submit(url, users["bob"], study=mine, **options).status_code == 409
    assert submit(url, users["bob"], study=study("grid"), again=True).status_code == 409
    batch = {"jobs": [{"study": study("free")}, {"study": mine}]}
    answer = requests.post(f"{url}/api/jobs/batch", json=batch, headers=users["bob"], timeout=60)
    assert answer.status_code == 409
    sent = users["bob"] | {"Content-Type": "application/yaml", "X-Handssl-User": "ada"}
    answer = requests.post(f"{url}/api/jobs", data=yaml.safe_dump(mine), headers=sent, timeout=60)
    assert answer.status_code == 409
    assert sum(of.queue.depth().values()) == 1  # of the batch nothing was queued either


def test_the_same_study_of_somebody_else_returns_the_job_that_is_there(queue_of_two):
    of, url, users = queue_of_two
    first = submit(url, users["ada"], study=study("grid"))
    of.lease.take()
    [job] = admit(of.queue, of.lease, of.limits, lambda *_: None)
    for _ in ("running", "succeeded"):
        again = submit(url, users["bob"], study=study("grid"))
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
        finish(of.queue, job.id, 1, Outcome("exited", 0))


def test_of_two_who_submit_at_the_same_moment_one_has_the_name(queue_of_two):
    _, url, users = queue_of_two
    for number in range(10):
        ready = Barrier(2)

        def ask(user, blocks, number=number, ready=ready):
            ready.wait()
            return submit(url, users[user], study=study(f"race-{number}", blocks=[blocks]))

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(ask, ("ada", "bob"), (1, 2)))
        assert Counter(one.status_code for one in answers) == {201: 1, 409: 1}


def test_the_command_line_says_whose_name_it_is_and_ends_with_2(queue_of_two, tmp_path):
    _, url, users = queue_of_two
    assert submit(url, users["ada"], study=study("grid")).status_code == 201
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(study("grid", **OTHER)))
    env = os.environ | {"HANDSSL_SERVICE": url}
    env["HANDSSL_TOKEN"] = users["bob"]["Authorization"].removeprefix("Bearer ")
    command = [sys.executable, "-m", "handssl.cli", "submit", str(tmp_path / "grid.yaml")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'grid' belongs to ada" in done.stderr
    named = [*command, "--set", "name=bob-grid"]
    done = subprocess.run(named, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
