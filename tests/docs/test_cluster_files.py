"""cluster.yaml and cluster.onpremise.yaml: as Ray's launcher wants them, with words we know."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
import venv
import zipfile
from pathlib import Path

import click
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from handssl.cli.app import cli
from handssl.execution.cluster.local_ray import GROWS_TO

ROOT = Path(__file__).parents[2]
FILES = ("cluster.yaml", "cluster.onpremise.yaml")


EXPLAINED = (
    *("cluster_name", "max_workers", "upscaling_speed", "idle_timeout_minutes", "region"),
    *("cache_stopped_nodes", "ssh_user", "image", "container_name", "initialization_commands"),
    *("setup_commands", "worker_start_ray_commands"),
)
FOREVER = re.compile(r"while :; do handssl (.*?); sleep 5; done")
STAND_IN = """#!/bin/sh
echo "$PPID $RAY_AUTH_MODE $HANDSSL_LEDGER $*" >> ~/starts
exit 0
"""


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


def service_of(config: dict) -> str:
    """Return the command that keeps the service running."""
    [line] = [line for line in config["head_start_ray_commands"] if FOREVER.search(line)]
    return line


def commands(config: dict) -> list[str]:
    return [line for key, lines in config.items() if key.endswith("_commands") for line in lines]


@pytest.fixture(params=FILES)
def config(request):
    return read(request.param)


def test_rays_own_schema_takes_the_file(config):
    validate_config(prepare_config(config))


def test_rays_schema_would_refuse_a_wrong_one(config):
    with pytest.raises(Exception, match="max_wrkers"):
        validate_config(prepare_config(config | {"max_wrkers": 3}))


def test_workers_go_when_there_is_nothing_to_do_and_the_head_trains_nothing():
    config = read("cluster.yaml")
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    workers = [kind for kind in config["available_node_types"].values() if kind is not head]
    assert [kind["min_workers"] for kind in workers] == [0]
    assert workers[0]["resources"]["GPU"] == 1
    start = "\n".join(config["head_start_ray_commands"])
    assert "--num-gpus=0" in start
    assert "--num-cpus=0" in start


def test_every_ray_is_started_with_its_token_and_its_dashboard_stays_at_home(config):
    starts = [line for line in commands(config) if "ray start" in line]
    assert len(starts) == 2
    for line in starts:
        assert "RAY_AUTH_MODE=token" in line
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_all_nodes_install_the_ray_of_this_repository(config):
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)[1]
    assert f'"ray[default,train,tune]=={pinned}"' in install_of(config)


def install_of(config: dict) -> str:
    """Return the command that installs handssl on every node."""
    [line] = [line for line in config["setup_commands"] if "handssl-" in line]
    return line


def write_wheel(folder: Path, name: str, version: str, code: str) -> Path:
    """Write a wheel of one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Provides-Extra: {one}\n" for one in ("postgres", "default", "train", "tune")),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{one},,\n" for one in (*files, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for one, text in files.items():
            archive.writestr(one, text)
    return path


@pytest.fixture
def node(tmp_path):
    """A node with the files that are copied to it: runs a command, returns its code of handssl."""
    home, programs = tmp_path / "home", tmp_path / "home" / "venv" / "bin"
    venv.create(home / "venv", with_pip=True)
    (home / "constraints.txt").write_text((ROOT / "constraints.txt").read_text())
    write_wheel(tmp_path / "index", "ray", "2.60.0", "")
    env = {"HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "PIP_NO_INDEX": "1"}
    env |= {"PIP_FIND_LINKS": str(tmp_path / "index"), "PIP_CONFIG_FILE": os.devnull}
    ask = [str(programs / "python"), "-c", "import handssl; print(handssl.CODE)"]

    options = {"env": env, "cwd": home, "capture_output": True, "text": True}

    def run(line: str) -> str:
        command = line.replace("~", str(home))
        done = subprocess.run(["bash", "-c", command], **options)
        assert done.returncode == 0, done.stderr
        return subprocess.run(ask, check=True, **options).stdout.strip()

    return run, home / "dist"


def test_a_node_that_is_set_up_again_gets_the_wheel_that_was_built_last(config, node):
    run, dist = node
    write_wheel(dist, "handssl", "0.1.0", "CODE = 'first'")
    assert run(install_of(config)) == "first"
    write_wheel(dist, "handssl", "0.1.0", "CODE = 'second'")
    assert run(install_of(config)) == "second"
    # The launcher leaves older files where they are; a label that is less may be newer code.
    past_s = time.time() - 60
    os.utime(dist / "handssl-0.1.0-py3-none-any.whl", (past_s, past_s))
    write_wheel(dist, "handssl", "0.1.0.dev3+g4006871.d20261130", "CODE = 'third'")
    assert run(install_of(config)) == "third"


def test_no_secret_is_written_into_the_file(config):
    text = yaml.safe_dump(config)
    assert not re.search(r"postgresql://\S+:\S+@|password|PASSWORD", text)


def test_the_file_with_spot_instances_is_valid_too():
    text = (ROOT / "cluster.yaml").read_text()
    config = yaml.safe_load(text.replace("# InstanceMarketOptions", "InstanceMarketOptions"))
    validate_config(prepare_config(config))
    kinds = config["available_node_types"]
    spot = {"MarketType": "spot"}
    assert kinds["gpu"]["node_config"]["InstanceMarketOptions"] == spot
    assert "InstanceMarketOptions" not in kinds["head"]["node_config"]


def test_studies_are_reported_what_all_workers_together_have():
    config = read("cluster.yaml")
    workers = config["available_node_types"]["gpu"]
    [start] = [line for line in config["head_start_ray_commands"] if "--head" in line]
    assert workers["max_workers"] == config["max_workers"]
    for kind, variable in GROWS_TO.items():
        said = int(re.search(rf"{variable}=(\d+)", start)[1])
        assert said == config["max_workers"] * workers["resources"][kind]


def test_machines_of_a_user_are_all_used_and_never_given_back():
    config = prepare_config(read("cluster.onpremise.yaml"))
    [kind] = config["available_node_types"].values()
    machines = len(config["provider"]["worker_ips"])
    assert (kind["min_workers"], kind["max_workers"]) == (machines, machines)


def test_a_node_that_comes_later_installs_what_the_others_have(config):
    [install] = [line for line in config["setup_commands"] if "ray[" in line]
    assert " -c ~/constraints.txt " in install
    assert config["file_mounts"]["~/constraints.txt"] == "constraints.txt"


def test_passwords_are_given_to_the_head_alone(config):
    assert "handssl.env" not in "\n".join(config["worker_start_ray_commands"])
    head = [line for line in config["head_start_ray_commands"] if "ray start" in line]
    assert all(line.startswith(". ~/handssl.env && ") for line in head)


def test_bash_can_parse_every_command(config):
    for line in commands(config):
        done = subprocess.run(["bash", "-n"], input=line, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), line


def test_the_one_who_ends_the_service_does_not_end_itself(config):
    [line] = [line for line in config["head_start_ray_commands"] if "pkill" in line]
    pattern = shlex.split(line)[2]
    assert re.search(pattern, "sh -c while :; do handssl serve --ray auto")
    assert not re.search(pattern, line)


def test_every_setting_of_the_cloud_is_explained():
    lines = (ROOT / "cluster.yaml").read_text().splitlines()
    explained = False
    for line in lines:
        key = re.match(r" {0,2}(\w+):", line)
        if key and key[1] in EXPLAINED:
            assert explained or "#" in line, line
        explained = line.strip().startswith("#")


def test_the_service_is_started_with_options_it_has(config):
    words = shlex.split(FOREVER.search(service_of(config))[1])
    context = cli.make_context("handssl", words)
    verb, command, rest = cli.resolve_command(context, words)
    assert verb == "serve"
    assert isinstance(command.make_context(verb, rest, parent=context), click.Context)


def until(condition, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # a program that the test did not start itself


def test_the_service_is_started_again_whenever_it_ends_and_has_the_passwords(config, tmp_path):
    programs, starts = tmp_path / "venv" / "bin", tmp_path / "starts"
    programs.mkdir(parents=True)
    (programs / "handssl").write_text(STAND_IN)
    (programs / "handssl").chmod(0o755)
    (tmp_path / "handssl.env").write_text("export HANDSSL_LEDGER=postgresql://db/x\n")
    line = service_of(config).replace("sleep 5", "sleep 0.1")
    env = {"HOME": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], env=env, timeout=30)
    assert done.returncode == 0
    until(lambda: starts.exists() and len(starts.read_text().splitlines()) >= 3)
    loop, *rest = starts.read_text().split("\n")[0].split(" ")
    os.kill(int(loop), signal.SIGTERM)
    assert rest[:3] == ["token", "postgresql://db/x", "serve"]
    until(lambda: not Path(f"/proc/{loop}").exists())
