"""What a service is told, and what it tells browsers and drivers because of it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from handssl.service.dispatch.ray_jobs import RayJobs
from handssl.service.options import Options
from handssl.service.queue.job import JobRequest
from handssl.service.server import Server
from tests.service.services import study

MLFLOW, RAY = "http://127.0.0.1:8643", "http://127.0.0.1:8265"


def options(folder, **values) -> Options:
    (folder / "service").mkdir(exist_ok=True)
    return Options(folder, f"sqlite:///{folder}/service.db", **values)


@pytest.mark.parametrize(
    ("values", "mlflow"),
    [
        ({}, MLFLOW),
        ({"mlflow_host": "0.0.0.0"}, f"http://{socket.getfqdn()}:8643"),
        ({"mlflow_host": "127.0.0.2"}, MLFLOW),
        ({"mlflow": "http://other", "mlflow_host": "0.0.0.0"}, MLFLOW),
        ({"mlflow_host": "0.0.0.0", "public_mlflow": "https://m.org/"}, "https://m.org"),
    ],
)
def test_browsers_are_sent_where_they_find_mlflow(tmp_path, values, mlflow):
    assert options(tmp_path, **values).mlflow_page(MLFLOW) == mlflow


def test_an_mlflow_that_has_not_been_started_has_no_page(tmp_path):
    assert options(tmp_path, mlflow_host="0.0.0.0").mlflow_page("") == ""


def test_the_dashboard_of_a_ray_that_was_found_is_known(tmp_path):
    found = RayJobs("auto")
    assert found.dashboard == ""

    class Client:
        def get_address(self):
            return RAY

    found.__dict__["_client"] = Client()
    assert found.dashboard == RAY
    assert RayJobs("http://head:8265").dashboard == "http://head:8265"
    assert options(tmp_path).ray_page(RAY) == RAY
    assert options(tmp_path, public_ray="https://r.org/").ray_page(RAY) == "https://r.org"


def server(folder, **values) -> Server:
    return Server(options(folder, **{"port": 8642, **values}), print)


def command(made: Server) -> str:
    """Return what Ray would be given to run."""
    of = made.service
    [(job, _)] = of.queue.submit([JobRequest(study=study())], user="ada")
    return of.home.write(job, of.queue.document(job.id))


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # what is set here is undone afterwards
        monkeypatch.delenv(name)


def test_drivers_of_a_ray_that_is_there_know_where_the_password_is(tmp_path):
    made = server(tmp_path, ray="auto", mlflow_host="127.0.0.2")
    password = (tmp_path / "service" / "mlflow_password").read_text()
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == password
    line = command(made)
    assert str(tmp_path / "service" / "mlflow_password") in line
    assert password not in line


def test_the_password_of_our_own_mlflow_goes_to_no_other(tmp_path):
    server(tmp_path, ray="auto", mlflow_host="127.0.0.2")
    os.environ["MLFLOW_TRACKING_PASSWORD"] = "theirs"
    made = server(tmp_path, ray="auto", mlflow="http://other:5000")
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "theirs"
    assert "mlflow_password" not in command(made)


def test_links_are_of_the_service_or_what_browsers_call_the_others(tmp_path):
    public = {"public_mlflow": "https://m.org", "public_ray": "https://r.org"}
    made = server(tmp_path, host="0.0.0.0", ray="auto", **public)
    [(job, _)] = made.service.queue.submit([JobRequest(study=study())], user="ada")
    assert made.service.links(job) == {"MLflow experiment": f"/jobs/{job.id}/mlflow"}
    with made.service.queue.database.begin() as connection:
        from sqlalchemy import update

        from handssl.service.queue.tables import jobs

        connection.execute(update(jobs).values(attempt=1))
    started = made.service.queue.get(job.id)
    assert made.service.links(started)["Ray dashboard"].startswith("https://r.org/#/jobs/")
    assert made.service.mlflow_url() == "https://m.org"


def test_drivers_find_the_ray_of_their_own_service_because_no_other_shares_its_folder(tmp_path):
    programs = [server(tmp_path, port=port)._programs["ray"] for port in (8642, 8742)]
    try:
        commands = [program._command(1).words for program in programs]
        folders = [words[words.index("--temp-dir") + 1] for words in commands]
        assert folders[0] != folders[1]
    finally:
        programs[1].end()
    assert not Path(folders[1]).parent.exists()
