"""`handssl pretrain` as a user types it: resumed by name, kept elsewhere, read by programs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handssl.cli.app import invoke
from handssl.execution.checkpoint_mirror.mirror import FINAL_FILES
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord

TIMEOUT_S = 240.0
EPOCHS = 4
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

# It is killed when half of the second checkpoint has arrived.
KILLED = """
import os, signal, sys
from handssl.execution.checkpoint_mirror import remote_folder

sys.argv[0] = "handssl"
copies, whole = [], remote_folder._copy

def copy(source, sink):
    copies.append(sink)
    if len(copies) < 2:
        return whole(source, sink)
    sink.write(source.read(1000))
    sink.flush()
    os.kill(os.getpid(), signal.SIGKILL)

remote_folder._copy = copy
from handssl.cli import main
main()
"""


class Place:
    """A machine: a configuration and a storage; and what a command said there."""

    def __init__(self, folder: Path, like: Place | None = None) -> None:
        self.folder, self.storage = folder, folder / "runs"
        self.config = folder / "run.yaml"
        self.config.write_text(RUN, encoding="utf-8")
        for name in ("datasets", "stores") if like else ():
            shutil.copytree(like.storage / name, self.storage / name)

    def run(self, *words: object) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = invoke(["pretrain", *map(str, words), "--storage", str(self.storage)])
        return code, out.getvalue(), err.getvalue()

    @property
    def record(self) -> TrialRecord:
        (record,) = Ledger(self.storage).all()
        return record

    @property
    def trial(self) -> Path:
        return Ledger(self.storage).folder(self.record.trial_id)

    def numbers(self) -> list[dict[str, float]]:
        rows = Ledger(self.storage).history(self.record.trial_id)
        return [{n: v for n, v in row.metrics.items() if not n.endswith("_s")} for row in rows]


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """What the finished run said, once it has run."""
    return {}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, told) -> Place:
    """A run that nothing interrupted, copied to `elsewhere`."""
    place = Place(tmp_path_factory.mktemp("finished"))
    elsewhere = place.folder / "elsewhere"
    options = ("--json", "--checkpoints", elsewhere.as_uri(), "--keep", 3)
    code, told["out"], told["err"] = place.run(place.config, *options)
    assert code == 0, told["err"]
    return place


@pytest.fixture
def here(tmp_path, finished) -> Place:
    """A machine with the same data and no run."""
    return Place(tmp_path, finished)


@pytest.fixture
def stopped(here, monkeypatch) -> Place:
    """A run whose time was over after its first step."""
    with monkeypatch.context() as patch:
        patch.setattr("handssl.cli.training_options._until", lambda text: time.monotonic())
        code, out, err = here.run(here.config, "--time", "23:30", "--json")
    assert code == 75, err
    assert parsed(out)[-1]["event"] == "stopped"
    return here


def parsed(out: str) -> list[dict[str, object]]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in out.splitlines()]


def test_a_program_reads_one_object_an_event(finished, told) -> None:
    events = parsed(told["out"])
    names = [event["event"] for event in events if event["event"] != "waiting"]
    assert names == ["started", *["epoch"] * EPOCHS, "ended"]
    assert {event["what"] for event in events if event["event"] == "waiting"} >= {
        "data: rendering",
        "data: packing",
    }
    epoch = next(event for event in events if event["event"] == "epoch")
    assert set(epoch) == {
        *("event", "time", "trial_id", "epoch", "epochs", "seconds", "seconds_left"),
        *("images_per_s", "waiting_share", "loss", "median_mm", "metrics"),
    }
    assert epoch["images_per_s"] > 0
    assert 0 < epoch["waiting_share"] < 1
    assert epoch["metrics"]["train/loss"] == epoch["loss"]
    assert told["err"] == ""


def test_the_last_object_is_the_outcome(finished, told) -> None:
    last = parsed(told["out"])[-1]
    record = finished.record
    assert (last["event"], last["outcome"], last["epoch"]) == ("ended", "completed", EPOCHS)
    assert last["trial_id"] == record.trial_id
    assert last["mlflow_run_id"] == record.mlflow_run_id
    assert last["metrics"] == record.metrics
    assert Path(last["page"]).is_file()


def test_a_stopped_run_goes_on_by_its_name_alone_with_the_same_numbers(stopped, finished) -> None:
    run_id = stopped.record.mlflow_run_id
    name = stopped.record.trial_id[:5]
    code, out, err = stopped.run("--resume", name, "--keep", 1, "--json")
    assert code == 0, err
    assert parsed(out)[-1]["outcome"] == "completed"
    assert stopped.numbers() == finished.numbers()
    assert stopped.record.mlflow_run_id == run_id
    kept = sorted(path.name for path in (stopped.trial / "checkpoints").iterdir())
    assert kept == [f"epoch-{EPOCHS:05d}.ckpt"]


def test_what_a_killed_run_was_writing_is_collected_by_the_command(stopped) -> None:
    orphans = [
        stopped.trial / "checkpoints" / "epoch-00001.ckpt.tmp-4194305-0123abcd",
        stopped.trial / "encoder.safetensors.tmp-4194305-0123abcd",
    ]
    for orphan in orphans:
        orphan.write_bytes(b"half")
    assert stopped.run("--resume", stopped.trial, "--keep-bytes", "1kB", "--quiet")[0] == 0
    assert not any(orphan.exists() for orphan in orphans)
    kept = sorted(path.name for path in (stopped.trial / "checkpoints").iterdir())
    assert kept == [f"epoch-{EPOCHS:05d}.ckpt"]  # the newest one always stays


def test_a_stopped_run_says_which_command_goes_on(here, monkeypatch) -> None:
    monkeypatch.setattr("handssl.cli.training_options._until", lambda text: time.monotonic())
    code, out, err = here.run(here.config, "--time", "23:30", "--json")
    last = parsed(out)[-1]
    assert code == 75
    assert (last["event"], last["by"], last["epoch"]) == ("stopped", "time", 0)
    assert str(here.storage) in last["continue"]
    assert "Traceback" not in err


def test_a_run_that_cannot_go_on_says_so_to_programs_too(here, monkeypatch) -> None:
    def short(self: object, *inputs: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("handssl.training.view_batcher.ViewBatcher.__call__", short)
    code, out, err = here.run(here.config, "--json")
    last = parsed(out)[-1]
    assert (code, last["event"], last["exit_code"]) == (2, "error", 2)
    assert "global_batch 16 is 32 views a step" in last["message"]
    assert last["message"] in err
    assert "Traceback" not in err
    assert here.record.outcome == "running"  # with more memory the same command goes on


@pytest.mark.parametrize("kind", ["trial", "run", "folder"])
def test_a_finished_run_says_so_prints_its_numbers_and_computes_nothing(finished, kind) -> None:
    record, trial = finished.record, finished.trial
    name = {"trial": record.trial_id[:6], "run": record.mlflow_run_id, "folder": trial}[kind]
    before = {path: path.stat().st_mtime_ns for path in trial.rglob("*") if path.is_file()}
    code, out, err = finished.run("--resume", name)
    assert code == 0
    assert "completed earlier, after epoch 4 of 4; nothing is left to do" in err
    assert f"{record.metrics['median_mm']:.1f}" in out
    assert before == {path: path.stat().st_mtime_ns for path in trial.rglob("*") if path.is_file()}


def test_another_configuration_is_no_continuation(finished) -> None:
    name = finished.record.trial_id
    words = (finished.config, "--set", "pretrain.temperature=0.1", "--resume", name)
    code, _, err = finished.run(*words)
    assert code == 2
    assert "pretrain.temperature: 0.5 in the run, 0.1 asked for" in err
    assert finished.run(finished.config, "--resume", name, "--quiet") == (0, "", "")


def test_quiet_says_nothing(here) -> None:
    assert here.run(here.config, "--quiet", "--set", "pretrain.epochs=2") == (0, "", "")


def test_off_a_terminal_an_epoch_is_a_plain_line(here) -> None:
    code, out, err = here.run(here.config)
    lines = [line for line in err.splitlines() if "| epoch " in line]
    assert code == 0
    assert [line.split(" | ")[1] for line in lines] == [
        f"epoch {epoch}/{EPOCHS}" for epoch in range(1, EPOCHS + 1)
    ]
    said = [part.split()[-1] for part in lines[0].split(" | ")[2:]]
    assert said[0] == "images/s"
    assert "waiting for data" in lines[0]
    assert "loss " in lines[0]
    assert "median " in lines[0]
    assert "left" in lines[0]
    assert "completed" in out


def test_a_machine_without_the_run_goes_on_from_the_copies(here, finished) -> None:
    elsewhere = here.folder / "elsewhere"
    shutil.copytree(finished.folder / "elsewhere", elsewhere)
    (copied,) = elsewhere.iterdir()
    names = sorted(path.name for path in (copied / "checkpoints").iterdir())
    assert names == [f"epoch-{epoch:05d}.ckpt" for epoch in (2, 3, 4)]
    for name in names[1:]:
        (copied / "checkpoints" / name).unlink()
    for name in FINAL_FILES:
        (copied / name).unlink()
    code, out, err = here.run(here.config, "--checkpoints", elsewhere, "--json")
    assert code == 0, err
    events = parsed(out)
    made = [e["epoch"] for e in events if e["event"] == "epoch" and e["seconds"] is not None]
    assert made == [3, 4]
    assert here.numbers() == finished.numbers()
    for name in FINAL_FILES:
        assert (copied / name).read_bytes() == (finished.trial / name).read_bytes()


def test_a_machine_without_a_finished_run_gets_its_weights_from_the_copies(here, finished) -> None:
    there = finished.folder / "elsewhere"
    assert here.run(here.config, "--checkpoints", there, "--quiet")[0] == 0
    assert here.numbers() == finished.numbers()
    for name in FINAL_FILES:
        assert (here.trial / name).read_bytes() == (finished.trial / name).read_bytes()


@pytest.mark.faults
def test_killed_in_the_middle_of_a_copy_it_goes_on_from_the_one_before(here, finished) -> None:
    elsewhere = here.folder / "elsewhere"
    words = ["pretrain", str(here.config), "--checkpoints", str(elsewhere), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *words, "--storage", str(here.storage)],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (copied,) = elsewhere.iterdir()
    left = sorted(path.name for path in (copied / "checkpoints").iterdir())
    assert len(left) == 2
    assert ".tmp-" in left[1]
    shutil.rmtree(here.storage / "trials")  # the disk of that machine is gone
    for path in here.storage.glob("*.db*"):
        path.unlink()
    assert here.run(here.config, "--checkpoints", elsewhere, "--quiet")[0] == 0
    assert here.numbers() == finished.numbers()
    kept = sorted(path.name for path in (copied / "checkpoints").iterdir())
    assert kept[-1] == f"epoch-{EPOCHS:05d}.ckpt"
    assert not any(".tmp-" in name for name in kept)


@pytest.mark.faults
@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "text"])
def test_a_reader_that_goes_away_ends_nothing(here, options) -> None:
    words = [str(here.config), *options, "--storage", str(here.storage)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "pretrain", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if options else subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read() if options else ""
    assert process.wait(TIMEOUT_S) == 0
    if options:
        process.stderr.close()
        assert said == ""
    assert here.record.outcome == "completed"
    assert here.record.epoch == EPOCHS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "0"], "0 is not in the range"),
        (["--keep-bytes", "many"], "--keep-bytes: expected a size such as 500MB or 2GiB"),
        (["--checkpoints", "nowhere://x"], "--checkpoints nowhere://x: expected a file system"),
        (["--resume", "cafe"], "expected results of a study, found none"),
    ],
)
def test_mistakes_are_reported_before_anything_runs(here, options, message) -> None:
    code, out, err = here.run(*([] if "--resume" in options else [here.config]), *options)
    assert code == 2
    assert message in err
    assert out == ""
    assert not (here.storage / "trials").exists()
