"""Ledgers, MLflow stores and Rays that are away, damaged or something else."""

import hashlib
import os
import shutil
import socket
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from handssl.doctor import Settings, diagnose
from handssl.doctor.child import NoAnswerError
from handssl.errors import DataError
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord

mlflow_check = pytest.importorskip("handssl.tracking.mlflow_check")


def found(name, storage=Path("/nowhere"), uri="", **options):
    (finding,) = diagnose(Settings(storage, uri, **options), checks=[name])
    return finding


class NoMlflow(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<html>something else</html>"
        self.send_response(404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.fixture
def stranger():
    """The port of a server that is neither MLflow nor Ray."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), NoMlflow)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def nobody():
    """A port at which nobody listens: taken, and not listened at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def record(number):
    return TrialRecord.parse(
        {
            "trial_id": f"{number:016x}",
            "study": "demo",
            "stage": "objectives",
            "cell": "relative rotate",
            "composition": "rotate",
            "objective": "relative",
            "block": 1,
            "outcome": "completed",
            "epochs": 3,
        }
    )


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.delenv("HANDSSL_LEDGER", raising=False)
    ledger = Ledger(tmp_path)
    for number in (1, 2, 3):
        ledger.save(record(number))
        ledger.append_epoch(f"{number:016x}", 1, {"median_mm": 70.0})
    ledger.close()
    return tmp_path


def change(storage, statement):
    with closing(sqlite3.connect(storage / "ledger.db")) as base, base:
        base.execute(statement)


def test_a_storage_without_results_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("HANDSSL_LEDGER", raising=False)
    assert found("ledger", tmp_path).verdict == "skipped"
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_put_aside_are_a_warning(storage):
    assert found("ledger", storage).detail == "3 records, all readable"
    aside = storage / "trials" / "a" / "checkpoints" / "epoch-00001.ckpt.damaged"
    aside.parent.mkdir(parents=True)
    aside.touch()
    finding = found("ledger", storage)
    assert finding.verdict == "warning"
    assert str(aside) in finding.detail


def test_a_damaged_record_is_named(storage):
    change(storage, "update trials set config = '{' where trial_id like '%2'")
    change(storage, "update trials set outcome = 'odd' where trial_id like '%3'")
    finding = found("ledger", storage)
    assert finding.verdict == "failed"
    assert finding.detail == f"2 of 3 records are damaged: {2:016x}, {3:016x}"
    assert "ledger.db" in finding.fix


def test_a_ledger_that_is_no_database_fails(tmp_path, monkeypatch):
    monkeypatch.delenv("HANDSSL_LEDGER", raising=False)
    (tmp_path / "ledger.db").write_bytes(os.urandom(8192))
    finding = found("ledger", tmp_path)
    assert finding.verdict == "failed"
    assert "file is not a database; restore it from a backup" in finding.detail


def test_an_mlflow_that_is_away_fails_at_once(nobody):
    finding = found("mlflow", uri=f"http://me:secret@127.0.0.1:{nobody}")
    assert finding.verdict == "failed"
    assert "no connection" in finding.detail
    assert "secret" not in finding.detail + finding.fix
    assert "--tracking-uri" in finding.fix


def test_a_server_that_is_not_mlflow_fails(stranger):
    finding = found("mlflow", uri=f"http://127.0.0.1:{stranger}")
    assert finding.verdict == "failed"
    assert "failed with error code 404" in finding.detail
    assert "html" not in finding.detail
    assert "is it an MLflow server" in finding.fix


def test_a_tracking_uri_that_is_none_fails():
    finding = found("mlflow", uri="http://127.0.0.1:port")
    assert finding.verdict == "failed"


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    client = MlflowClient(f"sqlite:///{path}")
    client.create_run(client.create_experiment("demo"))
    return path


@pytest.fixture
def file(made_once, tmp_path):
    """An MLflow store with one run."""
    return Path(shutil.copy(made_once, tmp_path / "mlflow.db"))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_is_tried_without_changing_a_byte(file, tmp_path):
    before = digest(file)
    assert "can be read and written" in mlflow_check.check_mlflow(f"sqlite:///{file}")["state"]
    assert digest(file) == before
    assert list(tmp_path.iterdir()) == [file]
    new = mlflow_check.check_mlflow(f"sqlite:///{tmp_path}/new.db")["state"]
    assert new == "does not exist yet; MLflow can create it"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_of_another_schema_gives_mlflows_words_and_the_upgrade(file):
    with closing(sqlite3.connect(file)) as base, base:
        base.execute("update alembic_version set version_num = '451aebb31d03'")
    before = digest(file)
    finding = found("mlflow", uri=f"sqlite:///{file}")
    assert finding.verdict == "failed"
    assert "out-of-date database schema (found version 451aebb31d03" in finding.detail
    assert finding.fix.endswith(f"mlflow db upgrade sqlite:///{file}")
    assert digest(file) == before


def test_a_file_that_is_no_mlflow_store_is_refused(tmp_path):
    text, other = tmp_path / "text.db", tmp_path / "other.db"
    text.write_text("no database at all " * 100)
    with closing(sqlite3.connect(other)) as base, base:
        base.execute("create table mine (a)")
    for path, word in ((text, "file is not a database"), (other, "found another one")):
        with pytest.raises(DataError, match=word):
            mlflow_check.check_mlflow(f"sqlite:///{path}")


def test_a_file_that_another_process_keeps_locked_is_reported(file, monkeypatch):
    monkeypatch.setattr(mlflow_check, "_BUSY_S", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as base:
        base.execute("begin immediate")
        with pytest.raises(DataError, match="cannot be written: database is locked"):
            mlflow_check.check_mlflow(f"sqlite:///{file}")


def test_a_store_of_another_kind_keeps_one_deleted_experiment(file):
    uri = f"sqlite:///{file}"
    for _ in range(2):
        mlflow_check._write(uri)
    with closing(sqlite3.connect(file)) as base:
        rows = base.execute("select name, lifecycle_stage from experiments").fetchall()
    assert ("handssl-doctor", "deleted") in rows
    assert len(rows) == 3


def test_a_ray_that_is_away_fails_at_once(nobody):
    finding = found("ray", ray_address=f"127.0.0.1:{nobody}")
    assert finding.verdict == "failed"
    assert "no connection" in finding.detail
    assert "ray status" in finding.fix


def test_an_address_that_is_none_is_reported():
    assert "expected HOST:PORT or auto" in found("ray", ray_address="head").detail


def test_a_server_that_is_no_ray_is_given_up_after_a_bounded_time(stranger):
    finding = found("ray", ray_address=f"127.0.0.1:{stranger}", ray_timeout_s=3.0)
    assert finding.verdict == "failed"
    assert "no answer within 3 s" in finding.detail
    assert "6379" in finding.fix


@pytest.mark.faults
@pytest.mark.timeout(180)
def test_a_ray_started_for_the_check_leaves_no_process():
    before = set(psutil.Process().children(recursive=True))
    finding = found("ray", ray_timeout_s=150.0)
    assert finding.verdict == "ok", finding
    assert "token authentication on" in finding.detail
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.faults
@pytest.mark.timeout(180)
def test_a_cluster_answers_at_its_address():
    import ray

    from handssl.execution.cluster.local_ray import ray_cluster

    with ray_cluster(cpus=1):
        address = ray.get_runtime_context().gcs_address
        finding = found("ray", ray_address=address, ray_timeout_s=150.0)
        assert finding.verdict == "ok", finding
        assert f"cluster at {address}; Ray {ray.__version__}" in finding.detail


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("AuthenticationError: token", "to ~/.ray/auth_token here"),
        ("RuntimeError: Version mismatch: Ray 2.61", "the cluster's versions"),
        ("ConnectionError: Failed to connect", "RAY_AUTH_MODE and the token"),
    ],
)
@pytest.mark.faults
def test_a_cluster_that_refuses_is_reported_with_what_to_do(monkeypatch, stranger, reason, fix):
    def refuse(*words, timeout_s):
        raise NoAnswerError(reason)

    monkeypatch.setattr("handssl.doctor.services.ask", refuse)
    finding = found("ray", ray_address=f"127.0.0.1:{stranger}")
    assert finding.verdict == "failed"
    assert fix in finding.fix


@pytest.mark.faults
def test_a_cluster_without_tokens_is_a_warning(monkeypatch):
    answer = {"ray": "2.60.0", "python": "3.12.1", "nodes": 1, "cpus": 1, "gpus": 0, "token": False}
    monkeypatch.setattr("handssl.doctor.services.ask", lambda *words, timeout_s: answer)
    finding = found("ray")
    assert finding.verdict == "warning"
    assert finding.fix.startswith("ray get-auth-token --generate")
