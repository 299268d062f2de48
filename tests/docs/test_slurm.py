"""The scripts of docs/slurm.md: every word is known, and they do what the page says."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from handssl.cli.app import cli
from handssl.ledger import Ledger, has_results

pytestmark = pytest.mark.faults

ray = pytest.importorskip("ray")
ray_cluster = pytest.importorskip("handssl.execution.cluster.local_ray").ray_cluster

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "slurm.md").read_text()
TIMEOUT_S = 150.0
EPOCHS = 60
RUN = """
name: nodes
data: {pretrain: 32, probe: 32, select: 16, test: 16, image_px: 64, crop_px: 64}
cells: [{composition: rotate, objective: relative}]
blocks: [1]
halving: null
references: false
pretrain:
  epochs: EPOCHS
  global_batch: 16
  encoder: {width: 8, input_px: 32}
  heads: {projection_hidden: 8, projection_out: 8, relative_hidden: 8}
  optimizer: {warmup_epochs: 1}
""".replace("EPOCHS", str(EPOCHS))


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


SCRIPTS = blocks("bash")
LINES = [
    line.strip().rstrip("&").strip()
    for block in [*SCRIPTS, *blocks("sh")]
    for line in block.replace("\\\n", " ").splitlines()
]
LINES += re.findall(r"exec (handssl [^']*)'", TEXT)
WORDS = [shlex.split(line, comments=True) for line in LINES if line and not line.startswith("trap")]


@pytest.mark.parametrize("script", [*SCRIPTS, *blocks("sh")])
def test_bash_can_parse_every_script(script):
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words", [words for words in WORDS if words[:1] == ["handssl"]], ids=" ".join
)
def test_every_command_is_one_that_handssl_parses(words):
    command, rest = cli, words[1:]
    while isinstance(command, click.Group):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(command.name, list(rest))


def test_no_command_of_handssl_is_left_out():
    inline = re.findall(r"`(handssl [^`]*)`", TEXT)
    verbs = {tuple(shlex.split(line)[1:2]) for line in inline}
    assert verbs <= {tuple(words[1:2]) for words in WORDS if words[:1] == ["handssl"]}
    assert len([words for words in WORDS if words[:1] == ["handssl"]]) == 7


@pytest.fixture(scope="module")
def ray_cli():
    from ray.scripts import scripts

    return scripts.cli.commands


def options_of(command):
    return {name for option in command.params for name in option.opts}


def test_every_option_of_ray_exists(ray_cli):
    (words,) = [words for words in WORDS if "symmetric-run" in words]
    rest = words[words.index("symmetric-run") + 1 : words.index("--")]
    names = {word.partition("=")[0] for word in rest}
    own = options_of(ray_cli["symmetric-run"])
    assert {"--address", "--min-nodes"} <= own
    assert names <= own | options_of(ray_cli["start"])
    assert all("=" in word or word == "--disable-usage-stats" for word in rest)
    (token,) = [words for words in WORDS if "get-auth-token" in words]
    assert {token[token.index("get-auth-token") + 1]} <= options_of(ray_cli["get-auth-token"])


def test_the_options_that_are_refused_are_those_the_page_names():
    from ray.scripts import symmetric_run

    source = Path(symmetric_run.__file__).read_text()
    refused = set(re.findall(r'arg == "(--[a-z-]+)"', source))
    (said,) = re.findall(r"except (.*?)\.\n", TEXT)
    assert set(re.findall(r"`(--[a-z-]+)`", said)) == refused
    assert re.search(r'"RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT", 30\)', source)


STAND_IN = """#!/bin/bash
echo "$(basename "$0") $*" >> "$LOG"
case "$(basename "$0")" in
  scontrol) [ "$1" = show ] && echo node1 ;;
  handssl|srun)
    trap 'exit ${CODE:-75}' TERM
    [ "$(basename "$0")" = srun ] && mkdir -p "$STORAGE" && echo $$ > "$STORAGE/driver.pid"
    [ -n "$NOW" ] && exit "$NOW"
    echo ready
    while :; do read -r -t 0.05 < "$PIPE" || :; done ;;
esac
exit 0
"""


def submit(script, folder, *, now="", code="75"):
    """Run a script with stand-ins; send it SIGTERM when its command is ready."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("handssl", "srun", "scontrol", "ray"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    os.mkfifo(folder / "pipe")
    storage = folder / "runs"
    text = re.sub(r"^storage=.*$", f"storage={storage}", script, flags=re.MULTILINE)
    assert str(storage) in text
    slurm = {"JOB_ID": "7", "CPUS_PER_TASK": "2", "NNODES": "2", "GPUS_ON_NODE": "1"}
    process = subprocess.Popen(
        ["bash", "-c", text],
        env={f"SLURM_{name}": value for name, value in slurm.items()}
        | {"PATH": f"{programs}:{os.environ['PATH']}", "LOG": str(folder / "log")}
        | {"STORAGE": str(storage), "PIPE": str(folder / "pipe"), "NOW": now, "CODE": code}
        | {"SLURM_JOB_NODELIST": "node[1-2]"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if not now:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert err == ""
    return process.returncode, (folder / "log").read_text().splitlines()


@pytest.mark.parametrize("script", SCRIPTS, ids=["pretraining", "several nodes"])
def test_a_job_hands_the_signal_on_and_goes_back_to_the_queue(script, tmp_path):
    code, log = submit(script, tmp_path)
    assert code == 75
    assert log[-1] == "scontrol requeue 7"


@pytest.mark.parametrize("script", SCRIPTS, ids=["pretraining", "several nodes"])
@pytest.mark.parametrize("now", ["0", "1"])
def test_a_job_that_ends_by_itself_is_not_requeued(script, tmp_path, now):
    code, log = submit(script, tmp_path, now=now)
    assert code == int(now)
    assert not [line for line in log if "requeue" in line]


def test_a_run_that_fails_after_the_signal_is_not_requeued(tmp_path):
    code, log = submit(SCRIPTS[0], tmp_path, code="1")
    assert code == 1
    assert not [line for line in log if "requeue" in line]


def wait_for_epoch(storage, process):
    deadline = time.monotonic() + TIMEOUT_S
    while not (has_results(storage) and any(record.epoch for record in Ledger(storage).all())):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)  # a database that another process writes


@pytest.mark.timeout(400)
def test_the_driver_stops_with_75_at_sigterm_and_goes_on_in_the_ray_it_finds(tmp_path, monkeypatch):
    monkeypatch.delenv("HANDSSL_LEDGER", raising=False)
    (tmp_path / "study.yaml").write_text(RUN)
    (driver,) = blocks("python")
    (tmp_path / "driver.py").write_text(driver)
    storage = tmp_path / "runs"

    def start(address):
        return subprocess.Popen(
            [sys.executable, "driver.py", str(storage), f"sqlite:///{tmp_path}/mlflow.db"],
            cwd=tmp_path,
            env=os.environ | {"RAY_ADDRESS": address, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with ray_cluster(cpus=1):
        address = ray.get_runtime_context().gcs_address
        process = start(address)
        wait_for_epoch(storage, process)
        os.kill(int((storage / "driver.pid").read_text()), signal.SIGTERM)
        _, err = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 75, err[-3000:]
        (record,) = Ledger(storage).all()
        assert record.outcome == "running"
        process = start(address)
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err[-3000:]
    (record,) = Ledger(storage).all()
    assert (record.outcome, record.epoch) == ("completed", EPOCHS)
    assert "relative rotate" in out
