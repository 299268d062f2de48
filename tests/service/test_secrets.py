"""Secrets: in files of the service's user alone; MLflow behind a password where it is exposed."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import time

import pytest
import requests

from handssl.errors import DataError, HandsslError, InputError
from handssl.execution.cluster.ray_folder import remove_ray_folder
from handssl.runtime import private_files
from handssl.runtime.private_files import ensure_secret
from handssl.service.credentials import (
    mlflow_credentials,
    mlflow_export,
    mlflow_password,
    ray_token,
)
from handssl.service.dispatch.driver import JobWorkspace
from handssl.service.dispatch.programs import mlflow_server, ray_head
from handssl.service.dispatch.ray_jobs import RayJobs
from handssl.service.queue.job import JobRequest
from handssl.service.queue.queue import Queue
from tests.service.services import service, study

pytestmark = pytest.mark.faults

SECRET = "hunter2hunter2"


def test_an_exposed_mlflow_asks_for_a_password_that_drivers_have(tmp_path):
    folder = tmp_path / "service"
    folder.mkdir()
    # Another address of loopback is not ours, as any other host's.
    public = "https://mlflow.example.org"
    server = mlflow_server(folder, tmp_path, host="127.0.0.2", public=public)
    try:
        deadline = time.monotonic() + 120
        while not server.ensure():
            assert time.monotonic() < deadline, (folder / "mlflow.log").read_text()
            time.sleep(0.2)
        place = f"{server.url}/api/2.0/mlflow/experiments/search?max_results=1"
        assert requests.get(place, timeout=30).status_code == 401
        found = mlflow_credentials(folder)
        known = (found["MLFLOW_TRACKING_USERNAME"], found["MLFLOW_TRACKING_PASSWORD"])
        assert requests.get(place, auth=known, timeout=30).status_code == 200
        # Its own pages say where they come from, and are let in; those of others are not.
        search, wanted = f"{server.url}/ajax-api/2.0/mlflow/runs/search", {"max_results": 1}
        asked = {"auth": known, "json": wanted, "timeout": 30}
        for origin, code in ((server.url, 200), (public, 200), ("https://other.org", 403)):
            found = requests.post(search, headers={"Origin": origin}, **asked)
            assert (origin, found.status_code) == (origin, code)
        named = {"Host": "mlflow.example.org"}
        assert requests.get(place, auth=known, headers=named, timeout=30).status_code == 200
        assert known[1] not in (folder / "mlflow_auth.ini").read_text()
        assert known[1] not in (folder / "mlflow.log").read_text()
    finally:
        server.end()
    assert server.url == ""


def test_a_driver_reads_the_password_itself_and_keeps_its_own_where_it_may_not(tmp_path):
    line = (
        mlflow_export(tmp_path) + 'exec echo "$MLFLOW_TRACKING_USERNAME $MLFLOW_TRACKING_PASSWORD"'
    )
    env = {"MLFLOW_TRACKING_USERNAME": "mine", "MLFLOW_TRACKING_PASSWORD": "own"}

    def said() -> str:
        done = subprocess.run(["sh", "-ec", line], env=os.environ | env, capture_output=True)
        return done.stdout.decode().strip()

    assert said() == "mine own"
    ensure_secret(mlflow_password(tmp_path))
    secret = mlflow_password(tmp_path).read_text()
    assert said() == f"handssl {secret}"
    assert secret not in line


def test_secrets_are_files_of_one_user_and_stay_the_same(tmp_path):
    first = ray_token(tmp_path)
    assert ray_token(tmp_path) == first
    assert first["RAY_AUTH_MODE"] == "token"
    assert stat.S_IMODE((tmp_path / "ray_token").stat().st_mode) == 0o600
    secret = (tmp_path / "ray_token").read_text()
    command = ray_head(tmp_path, env=first)._command(1)
    remove_ray_folder(tmp_path / "ray")
    assert secret not in " ".join(command.words)


def test_a_full_disk_leaves_no_empty_secret(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(private_files.secrets, "token_hex", full)
        with pytest.raises(DataError, match="free some space"):
            ensure_secret(tmp_path / "password")
    assert list(tmp_path.iterdir()) == []
    ensure_secret(tmp_path / "password")
    assert len((tmp_path / "password").read_text()) == 64


def test_a_database_that_cannot_be_reached_is_named_without_its_password():
    with pytest.raises(DataError) as error:
        Queue(f"postgresql://handssl:{SECRET}@127.0.0.1:9/x")
    assert "handssl:***@127.0.0.1" in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgres://handssl:{SECRET}@db/x",
        f"postgresql://handssl:{SECRET}@db:port/x",
        f"postgres:/handssl:{SECRET}@db/x",
        f"mysql://handssl:{SECRET}/{SECRET}@{SECRET}@db/x",
        f"{SECRET}@db/x",
        f"postgresql://127.0.0.1:9/x?user=handssl&password={SECRET}",
    ],
)
def test_a_database_whose_url_is_wrong_is_named_without_its_password(url):
    with pytest.raises(HandsslError) as error:
        Queue(url)
    assert "***" in str(error.value)
    assert SECRET not in str(error.value)


def test_the_other_name_of_postgresql_is_corrected():
    with pytest.raises(InputError, match="write postgresql://"):
        Queue("postgres://handssl@db/x")


def test_a_job_holds_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDSSL_LEDGER", f"postgresql://handssl:{SECRET}@db/x")
    monkeypatch.setenv("HANDSSL_PLACES", "/shared/places.yaml")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    sent = {}

    class Client:
        def submit_job(self, **values):
            sent.update(values)

    of = service(tmp_path)
    [(job, _)] = of.queue.submit([JobRequest(study=study())], user="ada")
    home = JobWorkspace(tmp_path, lambda: "http://127.0.0.1:5000")
    jobs = RayJobs("http://127.0.0.1:9")
    jobs.__dict__["_client"] = Client()
    jobs.submit("s", home.write(job, of.queue.document(job.id)), {"job": job.id})
    assert SECRET not in str(sent)
    assert sent["runtime_env"]["env_vars"]["HANDSSL_PLACES"] == "/shared/places.yaml"
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("ledger", "mlflow", "given"),
    [
        ("", "http://127.0.0.1:5000", set()),
        ("postgresql://handssl@db/x", "http://127.0.0.1:5000", {"PGPASSWORD"}),
        ("", "postgresql+psycopg://handssl@db/mlflow", {"PGPASSWORD"}),
    ],
)
def test_a_driver_gets_of_the_secrets_of_its_ray_those_it_needs(tmp_path, ledger, mlflow, given):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    of = service(tmp_path)
    [(job, _)] = of.queue.submit([JobRequest(study=study())], user="ada")
    home = JobWorkspace(tmp_path, lambda: mlflow, python=str(program))
    line = home.write(job, of.queue.document(job.id))
    secrets = ("HANDSSL_SERVICE_DATABASE", "HANDSSL_TOKEN", "PGPASSWORD")
    env = os.environ | dict.fromkeys(secrets, SECRET) | {"HANDSSL_LEDGER": ledger}
    subprocess.run(["sh", "-c", line], env=env, check=True)
    found = {one.partition("=")[0] for one in home.log(job.id).read_text().splitlines()}
    assert found & set(secrets) == given
