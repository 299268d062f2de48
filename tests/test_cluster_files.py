"""cluster.yaml and cluster.onpremise.yaml: as Ray's launcher wants them, with words we know."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from handssl.cli.app import cli

ROOT = Path(__file__).parents[1]
FILES = ("cluster.yaml", "cluster.onpremise.yaml")


def commands(config: dict) -> list[str]:
    return [line for key, lines in config.items() if key.endswith("_commands") for line in lines]


@pytest.fixture(params=FILES)
def config(request):
    return yaml.safe_load((ROOT / request.param).read_text())


def test_rays_own_schema_takes_the_file(config):
    validate_config(prepare_config(config))


def test_rays_schema_would_refuse_a_wrong_one(config):
    with pytest.raises(Exception, match="max_wrkers"):
        validate_config(prepare_config(config | {"max_wrkers": 3}))


def test_workers_go_when_there_is_nothing_to_do_and_the_head_trains_nothing():
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
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


def test_all_nodes_install_the_versions_of_this_repository(config):
    install = "\n".join(commands(config))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)[1]
    assert f"handssl-{version}-" in install
    assert f'"ray[default,train,tune]=={pinned}"' in install


def test_no_secret_is_written_into_the_file(config):
    text = yaml.safe_dump(config)
    assert not re.search(r"postgresql://\S+:\S+@|password|PASSWORD", text)


def test_the_service_is_started_with_options_it_has(config):
    [line] = [line for line in commands(config) if "handssl serve" in line and "until" in line]
    words = shlex.split(re.search(r"until handssl (.*?); do", line)[1])
    context = cli.make_context("handssl", words)
    verb, command, rest = cli.resolve_command(context, words)
    assert verb == "serve"
    assert isinstance(command.make_context(verb, rest, parent=context), click.Context)
