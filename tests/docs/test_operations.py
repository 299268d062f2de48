"""Every command of docs/operations.md, in order, against a real service and real databases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from handssl.ledger import Ledger
from handssl.runtime.private_files import ensure_secret
from handssl.service.credentials import USER, mlflow_password
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.queue.job import JobRequest
from handssl.service.queue.listing import page
from handssl.service.queue.queue import Queue
from tests.postgresql import postgres_server
from tests.service.services import served, service, study

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text()
BLOCKS = dict(
    zip(
        ("install", "look", "mlflow", "upgrade", "backup", "restore", "move", "why"),
        re.findall(r"```sh\n(.*?)```", TEXT, re.S),
        strict=True,
    )
)
[POSTGRES] = re.findall(r"```sh postgres\n(.*?)```", TEXT, re.S)
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Run a block of commands as an operator does; `pip` and `systemctl` only say they ran."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("pip", "systemctl"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {tmp_path}/ran\n')
        (programs / name).chmod(0o755)
    (programs / "handssl").write_text(f'#!/bin/sh\nexec {sys.executable} -m handssl.cli "$@"\n')
    (programs / "handssl").chmod(0o755)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    path = os.pathsep.join([str(programs), *map(str, found[-1:]), os.environ["PATH"]])
    env = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "BACKUP": str(tmp_path / "backup")}
    (tmp_path / "backup").mkdir()

    def run(block: str, **more: str) -> str:
        words = ["bash", "-euo", "pipefail", "-c", block]
        asked = env | {name: str(value) for name, value in more.items()}
        done = subprocess.run(
            words, env=asked, cwd=tmp_path, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.ran = lambda: (tmp_path / "ran").read_text()
    return run


def filled(of) -> tuple[str, str]:
    """Queue two jobs, one of which has failed; return their ids."""
    requests = [JobRequest(study=study(name), retries=0) for name in ("one", "two")]
    (first, _), (second, _) = of.queue.submit(requests, user="ada")
    of.lease.take()
    from handssl.service.queue.admission import admit

    admit(of.queue, of.lease, of.limits, lambda *_: None)
    log = of.home.log(first.id)
    log.parent.mkdir(parents=True)
    log.write_text("it was like this\n")
    finish(of.queue, first.id, 1, Outcome("exited", 2))
    return first.id, second.id


def test_the_commands_of_a_service_on_sqlite(shell, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    of = service(home)
    failed, waiting = filled(of)
    ledger = Ledger(home)
    ledger.ask("one", "pause")
    ledger.close()
    with served(of) as url:
        where = {"HANDSSL_HOME": home, "HANDSSL_SERVICE": url}
        told = shell(BLOCKS["install"], **where)
        assert "ada\tsubmitter\tvalid" in told
        where["HANDSSL_TOKEN"] = (home / "ada.token").read_text().strip()
        told = shell(BLOCKS["look"], **where)
        assert waiting in told
        assert '"draining":false' in told
        (home / "service").mkdir()
        ensure_secret(mlflow_password(home / "service"))
        password = mlflow_password(home / "service").read_text()
        assert shell(BLOCKS["mlflow"], **where) == password
        why = shell(BLOCKS["why"], JOB=failed, **where)
        assert "the study cannot be run" in why
        assert "it was like this" in why
        assert "nothing new is started" in shell(BLOCKS["upgrade"], **where)
        assert "restart handssl" in shell.ran()
        shell(BLOCKS["backup"], **where)
        of.queue.cancel(waiting)
        assert of.queue.get(waiting).state == "cancelled"
    of.queue.database.close()  # as the end of the service does
    shell(BLOCKS["restore"], **where)
    after = Queue(f"sqlite:///{home}/service.db")
    assert after.get(waiting).state == "queued"
    assert after.get(failed).state == "failed"
    after.database.close()
    ledger = Ledger(home)
    assert ledger.asked("one").paused
    ledger.close()
    (home / "service" / "ray.json").write_text("{}")
    shell(BLOCKS["move"], NEW_HOME=tmp_path / "new", **where)
    moved = Queue(f"sqlite:///{tmp_path}/new/service.db")
    assert {job.id for job in page(moved)[0]} == {failed, waiting}
    assert not (tmp_path / "new" / "service" / "ray.json").exists()
    moved.database.close()


def test_a_queue_in_postgresql_is_saved_and_brought_back(shell, tmp_path):
    server = postgres_server()
    try:
        of = service(tmp_path, database=server.url)
        failed, waiting = filled(of)
        from handssl.service.dispatch.workflows import Attempts

        attempts = Attempts(server.url, *(lambda *_: None,) * 3)
        attempts.launch()  # DBOS makes its tables
        attempts.close()
        of.queue.database.close()
        dumped, restored = POSTGRES.split("systemctl stop handssl\n")
        shell(dumped, HANDSSL_SERVICE_DATABASE=server.url)
        Queue(server.url).cancel(waiting)
        shell(restored, HANDSSL_SERVICE_DATABASE=server.url)
        after = Queue(server.url)
        assert after.get(waiting).state == "queued"
        assert after.get(failed).state == "failed"
        after.database.close()
    finally:
        server.close()


def test_a_backup_overwrites_nothing_and_says_what_it_cannot_copy(tmp_path):
    from handssl.errors import InputError
    from handssl.service.queue.backup import backup

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    url = f"sqlite:///{tmp_path}/service.db"
    with pytest.raises(InputError, match="empty"):
        backup(tmp_path / "full", storage=tmp_path, database=url)
    with pytest.raises(InputError, match="pg_dump"):
        backup(tmp_path / "new", storage=tmp_path, database="postgresql://x/y")


def test_the_table_of_causes_is_the_services_own():
    from typing import get_args

    from handssl.service.queue.job import Cause

    for cause in filter(None, get_args(Cause)):
        assert f"`{cause}`" in TEXT


def test_the_name_and_the_port_of_mlflow_and_its_options_are_the_services_own():
    from handssl.cli.commands.serve import serve
    from handssl.service.options import Options

    assert f"The name is `{USER}`" in TEXT
    assert f"the port above the service's, {Options(ROOT, '').port + 1}" in TEXT
    known = {name for option in serve.params for name in option.opts}
    told = set(re.findall(r"--(?:mlflow|public)-[a-z]+", TEXT))
    assert told == {name for name in known if re.match("--(mlflow|public)-", name)}
