"""Nothing is lost if the server is killed, hangs or is not reachable during `handssl pretrain`."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from handssl.ledger import Ledger

pytestmark = pytest.mark.faults

tracker_module = pytest.importorskip("handssl.tracking.tracker")

TIMEOUT_S = 200.0
EPOCHS = 80  # they last for a few periods in which the outbox is emptied
RUN = """
name: watched
data: {{pretrain: 64, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}}
pretrain:
  seed: {seed}
  composition: [rotate]
  objective: relative
  epochs: {epochs}
  global_batch: 16
  encoder: {{width: 8, input_px: 32}}
  heads: {{projection_hidden: 8, projection_out: 8, relative_hidden: 8}}
  optimizer: {{warmup_epochs: 1}}
"""
PROGRAM = "import sys; sys.argv[0] = 'handssl'; from handssl.cli import main; sys.exit(main())"


class Server:
    """`mlflow server` on a free port of this machine, with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.uri = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.process: subprocess.Popen[bytes] | None = None
        self.members: list[psutil.Process] = []

    def start(self) -> None:
        place = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        files = ["--artifacts-destination", str(self.folder / "artifacts"), "--serve-artifacts"]
        port = ["--host", "127.0.0.1", "--port", self.uri.rpartition(":")[2], "--workers", "1"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *place, *files, *port],
                stdout=log,
                stderr=log,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
        wait_until(self.answers, self.process)
        parent = psutil.Process(self.process.pid)
        self.members = [*parent.children(recursive=True), parent]

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1.0) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def signal(self, number: int) -> None:
        for member in self.members:
            member.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        psutil.wait_procs(self.members, timeout=TIMEOUT_S)
        self.process.kill()  # one that was started in vain is no member
        self.process.wait()
        self.members = []

    def query(self, text: str) -> list[tuple]:
        with sqlite3.connect(f"file:{self.folder}/mlflow.db?mode=ro", uri=True) as base:
            return base.execute(text).fetchall()


def wait_until(condition, process):
    """Wait for something that another process does."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """One storage for all runs, whose data are made once."""
    return tmp_path_factory.mktemp("storage")


class Run:
    """`handssl pretrain` in a process of its own; each test has a seed of its own."""

    def __init__(self, storage, seed, uri, epochs):
        self.storage, self.seed, self.epochs = storage, seed, epochs
        config = storage / f"run-{seed}.yaml"
        config.write_text(RUN.format(seed=seed, epochs=epochs), encoding="utf-8")
        words = ["pretrain", str(config), "--storage", str(storage), "--quiet"]
        settings = {"OMP_NUM_THREADS": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
        settings["PYTHONPATH"] = str(Path(tracker_module.__file__).parents[2])
        self.errors = storage / f"run-{seed}.err"
        with self.errors.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *words, "--tracking-uri", uri],
                stdout=subprocess.DEVNULL,
                stderr=err,
                env=os.environ | settings,
            )

    def record(self):
        found = [r for r in Ledger(self.storage).all() if r.block == self.seed]
        return found[0] if found else None

    def wait_for(self, epoch):
        wait_until(lambda: (r := self.record()) is not None and r.epoch >= epoch, self.process)

    def wait_until_said(self, text):
        wait_until(lambda: text in self.errors.read_text(), self.process)

    @contextmanager
    def held(self):
        """Stop it for a while: a server takes seconds to start, and so small a run not many."""
        self.process.send_signal(signal.SIGSTOP)
        yield
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        """Return what it said on stderr."""
        code, err = self.process.wait(TIMEOUT_S), self.errors.read_text()
        assert code == 0, err
        assert self.record().outcome == "completed"
        return err


@pytest.fixture
def launch(storage):
    """Start runs; what is left of them is killed."""
    runs = []

    def start(seed, uri, epochs=EPOCHS):
        runs.append(Run(storage, seed, uri, epochs))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()


def assert_complete(server, run):
    """The server shows what the record holds, every point once."""
    record = run.record()
    rows = server.query(
        "select r.run_uuid, r.status from runs r join tags t on t.run_uuid = r.run_uuid "
        f"where t.key = 'trial_id' and t.value = '{record.trial_id}' "
        "and r.lifecycle_stage = 'active'"
    )
    assert rows == [(record.mlflow_run_id, "FINISHED")]
    points = server.query(
        f"select key, step, value from metrics where run_uuid = '{record.mlflow_run_id}' "
        "and key not like 'system/%'"
    )
    entries = Ledger(run.storage).history(record.trial_id)
    expected = [(k, e.epoch, v) for e in entries for k, v in e.metrics.items()]
    # The page's first section repeats the errors, in the same requests.
    repeated = [(k.removeprefix("Error/"), *rest) for k, *rest in points if k.startswith("Error/")]
    assert sorted(p for p in points if not p[0].startswith("Error/")) == sorted(expected)
    assert len(set(repeated)) == len(repeated)
    assert {p for p in expected if p[0] in {"median_mm", "mpje_mm"}} <= set(repeated)
    assert set(repeated) <= set(expected)
    assert len(entries) == run.epochs
    ((outcome,),) = server.query(
        f"select value from tags where run_uuid = '{record.mlflow_run_id}' and key = 'outcome'"
    )
    assert outcome == "completed"


def shown_epochs(server, run):
    record = run.record()
    return server.query(
        "select count(*) from metrics m join tags t on t.run_uuid = m.run_uuid "
        f"where m.key = 'median_mm' and t.key = 'trial_id' and t.value = '{record.trial_id}'"
    )[0][0]


@pytest.mark.slow  # tests/execution/test_sweep_places.py kills one under a whole sweep
@pytest.mark.timeout(300)
def test_a_server_that_is_killed_in_the_middle_and_comes_back_misses_nothing(server, launch):
    run = launch(1, server.uri)
    run.wait_for(1)
    wait_until(lambda: shown_epochs(server, run) > 0, run.process)
    server.kill()
    before = run.record().epoch
    run.wait_until_said("cannot be written")
    run.wait_for(before + 5)  # it goes on meanwhile
    with run.held():
        server.start()
    err = run.end()
    assert_complete(server, run)
    assert err.count("cannot be written") == err.count("is reachable again after") >= 1


@pytest.mark.timeout(300)
def test_a_server_that_accepts_and_hangs_holds_nothing_up(server, launch):
    run = launch(2, server.uri)
    run.wait_for(1)
    wait_until(lambda: shown_epochs(server, run) > 0, run.process)
    server.signal(signal.SIGSTOP)
    run.wait_until_said("cannot be written")
    run.wait_for(run.record().epoch + 5)
    server.signal(signal.SIGCONT)
    run.end()
    assert_complete(server, run)


@pytest.mark.timeout(300)
def test_what_a_server_missed_at_the_start_or_at_the_end_arrives_later(server, launch):
    ended = launch(3, server.uri, epochs=12)
    ended.wait_for(1)
    server.kill()
    assert "the next run of the study writes them" in ended.end()
    run = launch(4, server.uri, epochs=30)
    run.wait_until_said("cannot be written")
    run.wait_for(3)
    assert run.record().mlflow_run_id is None
    with run.held():
        server.start()
    run.end()
    assert_complete(server, run)
    assert_complete(server, ended)
