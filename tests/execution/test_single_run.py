"""One pretraining as a command: stopped, killed, on workers, and the same numbers in the end."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import handssl
from handssl.cli.app import invoke
from handssl.ledger import Ledger
from handssl.study.run_config import RunConfig

pytestmark = pytest.mark.faults

TIMEOUT_S = 240.0
EPOCHS = 12
RUN = f"""
name: alone
data: {{pretrain: 64, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}}
pretrain:
  composition: [rotate]
  objective: relative
  epochs: {EPOCHS}
  global_batch: 16
  encoder: {{width: 8, input_px: 32}}
  heads: {{projection_hidden: 8, projection_out: 8, relative_hidden: 8}}
  optimizer: {{warmup_epochs: 1}}
"""
PROGRAM = "import sys; sys.argv[0] = 'handssl'; from handssl.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(RUN, encoding="utf-8")
    return path


def start(config, storage, *options):
    words = ["pretrain", str(config), "--storage", str(storage), "--quiet", *options]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(process, timeout_s=TIMEOUT_S):
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def wait_for_epoch(storage, epoch, process):
    """Watch the record of the one trial."""
    deadline = time.monotonic() + TIMEOUT_S
    while not any(record.epoch >= epoch for record in Ledger(storage).all()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)  # a file that another process writes


def history(storage):
    (record,) = Ledger(storage).all()
    rows = Ledger(storage).history(record.trial_id)
    return record, [
        {name: value for name, value in row.metrics.items() if not name.endswith("_s")}
        for row in rows
    ]


def mlflow_steps(storage):
    with sqlite3.connect(storage / "mlflow.db") as base:
        return [s for (s,) in base.execute("select step from metrics where key = 'median_mm'")]


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    storage = tmp_path_factory.mktemp("undisturbed")
    code, _, err = finish(start(config, storage))
    assert code == 0, err
    return history(storage)[1]


@pytest.mark.timeout(300)
def test_sigterm_stops_it_with_75_and_the_same_command_goes_on(config, tmp_path, undisturbed):
    process = start(config, tmp_path)
    wait_for_epoch(tmp_path, 3, process)
    process.send_signal(signal.SIGTERM)
    code, _, err = finish(process)
    assert code == 75, err
    assert "Continue with:" in err
    assert "pretrain" in err
    assert finish(start(config, tmp_path))[0] == 0
    record, rows = history(tmp_path)
    assert record.outcome == "completed"
    assert rows == undisturbed
    assert sorted(mlflow_steps(tmp_path)) == list(range(1, EPOCHS + 1))


@pytest.mark.slow  # tests/execution/train/test_nodes.py kills a driver on a cluster
@pytest.mark.timeout(300)
def test_sigkill_loses_an_epoch_at_most(config, tmp_path, undisturbed):
    process = start(config, tmp_path)
    wait_for_epoch(tmp_path, 4, process)
    process.kill()
    finish(process)
    done = len(history(tmp_path)[1])
    assert finish(start(config, tmp_path))[0] == 0
    assert history(tmp_path)[1] == undisturbed
    assert done >= 4
    assert sorted(mlflow_steps(tmp_path)) == list(range(1, EPOCHS + 1))


def test_the_time_that_was_given_ends_it_cleanly(config, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("handssl.cli.training_options._until", lambda text: time.monotonic())
    code = invoke(["pretrain", str(config), "--storage", str(tmp_path), "--time", "23:30", "-q"])
    assert code == 75
    assert "Continue with:" in capfd.readouterr().err
    (record,) = Ledger(tmp_path).all()
    saved = tmp_path / "trials" / record.trial_id / "checkpoints"
    assert [path.name for path in saved.iterdir()] == ["epoch-00000.ckpt"]


def test_a_run_in_a_storage_that_another_process_holds_is_refused(config, tmp_path, capfd):
    hold = (
        "import sys; from pathlib import Path; from handssl.execution.storage import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        assert invoke(["pretrain", str(config), "--storage", str(tmp_path)]) == 2
        assert f"process {holder.pid} on" in capfd.readouterr().err


@pytest.mark.slow  # tests/execution/train/test_nodes.py kills one on a cluster
@pytest.mark.timeout(400)
def test_a_killed_worker_is_replaced_and_the_numbers_stay(config, tmp_path):
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    code, _, err = finish(start(config, whole, "--workers", "2"))
    assert code == 0, err
    process = start(config, hurt, "--workers", "2")
    wait_for_epoch(hurt, 3, process)
    children = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in children if "RayTrainWorker" in " ".join(child.cmdline())]
    assert len(workers) == 2, [child.cmdline()[:1] for child in children]
    workers[1].kill()
    code, _, err = finish(process)
    assert code == 0, err
    assert history(hurt)[1] == history(whole)[1]
    assert sorted(mlflow_steps(hurt)) == list(range(1, EPOCHS + 1))
    psutil.wait_procs(children, timeout=10)
    assert [child for child in children if child.is_running()] == []


# Read by every Python at its start: the second worker has no memory for its third batch.
SHORT = """
import sys

def patch():
    import handssl.training.view_batcher as feed
    from handssl.distributed import rank

    whole, made = feed.ViewBatcher.__call__, []

    def call(self, indices, epoch):
        made.append(epoch)
        if rank() == 1 and len(made) == 3:
            raise RuntimeError("DefaultCPUAllocator: you tried to allocate 9 bytes")
        return whole(self, indices, epoch)

    feed.ViewBatcher.__call__ = call

if any("default_worker" in word for word in sys.orig_argv):  # Ray's other processes start faster
    patch()
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_worker_that_is_short_of_memory_ends_the_run_with_advice(config, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(SHORT, encoding="utf-8")
    paths = [str(tmp_path), str(Path(handssl.__file__).parents[1])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    process = start(config, tmp_path / "runs", "--workers", "2")
    code, _, err = finish(process, timeout_s=350.0)  # Ray starts the workers twice
    assert code == 2, err
    assert "global_batch 16 is 32 views a step on 2 worker(s)" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "--workers: expected a number from 1, or auto, got '0'"),
        (["--workers", "many"], "--workers: expected a number from 1, or auto, got 'many'"),
        (["--workers", "3..1"], "--workers: expected MIN..MAX with 1 <= MIN <= MAX, e.g. 2..8"),
        (["--time", "25:00"], "--time: expected HH:MM, e.g. 23:30, got '25:00'"),
        (["--set", "pretrain.epoch=3"], "did you mean 'epochs'"),
        (["--device", "tpu"], "device 'tpu': expected auto, cpu or a GPU of this machine"),
    ],
)
def test_mistakes_are_reported_before_anything_runs(config, tmp_path, capfd, options, message):
    words = ["pretrain", str(config), "--storage", str(tmp_path / "none"), *options]
    assert invoke(words) == 2
    assert message in capfd.readouterr().err


def test_a_run_is_the_study_of_its_one_trial(config):
    run = RunConfig.load(config)
    study = run.study()
    (cell,) = study.cells
    assert study.config(cell, study.blocks[0]) == run.pretrain


def test_the_result_is_the_last_of_the_lines_for_scripts(config, tmp_path, capfd):
    words = ["pretrain", str(config), "--storage", str(tmp_path), "--set", "pretrain.epochs=2"]
    assert invoke([*words, "--json", "-q"]) == 0
    last = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (last["event"], last["outcome"]) == ("ended", "completed")
    assert Path(last["page"]).is_file()
