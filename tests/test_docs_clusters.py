"""docs/clusters.md: its commands are parsed, its files are what their readers take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from handssl.cli.app import cli
from handssl.sweep.site import Site

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "clusters.md").read_text()
YAMLS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", TEXT, re.S)]
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    for line in block.splitlines()
    if re.search(r"handssl (submit|study|serve|token|jobs)", line) and not line.startswith("export")
]
# From the RayJob of KubeRay's API ray.io/v1; what this page uses of it.
KEYS = {
    "RayJob": "entrypoint submissionMode backoffLimit shutdownAfterJobFinishes "
    "ttlSecondsAfterFinished suspend rayClusterSpec",
    "rayClusterSpec": "rayVersion authOptions headGroupSpec workerGroupSpecs",
    "headGroupSpec": "rayStartParams template",
    "workerGroupSpecs": "groupName replicas minReplicas maxReplicas rayStartParams template",
}


def parsed(words: list[str]) -> None:
    """Let the command line take apart what it would be given."""
    group, name, rest = cli, "handssl", words
    context = cli.make_context(name, rest[:])
    while hasattr(group, "commands"):
        name, group, rest = group.resolve_command(context, rest)
        context = group.make_context(name, list(rest), parent=context)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_ours_is_one(line):
    text = re.sub(r"^.*?(?=handssl (?:submit|study|serve|token|jobs))", "", line).rstrip("'")
    words = shlex.split(text)
    assert words[0] == "handssl"
    parsed(words[1:])


def test_the_places_are_what_we_read():
    [places] = [one for one in YAMLS if "stores" in one]
    site = Site.parse(places)
    assert site.place_of("interhand", "1a2b3c4d5e") == "s3://lab/stores/interhand"
    assert site.cache_bytes == 200 * 10**9


def test_the_job_of_kubernetes_has_the_keys_of_its_kind():
    [job] = [one for one in YAMLS if one.get("kind") == "RayJob"]
    assert job["apiVersion"] == "ray.io/v1"

    cluster = job["spec"]["rayClusterSpec"]
    found = {
        "RayJob": [job["spec"]],
        "rayClusterSpec": [cluster],
        "headGroupSpec": [cluster["headGroupSpec"]],
        "workerGroupSpecs": cluster["workerGroupSpecs"],
    }
    for name, specs in found.items():
        for spec in specs:
            assert set(spec) <= set(KEYS[name].split()), name
    words = shlex.split(job["spec"]["entrypoint"])
    parsed(words[1:])
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)[1]
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == pinned
    described = TEXT.partition("| setting | why |")[2]
    for key in ("backoffLimit", "suspend", "authOptions", "ttlSecondsAfterFinished"):
        assert f"`{key}`" in described


def test_no_password_is_on_the_page():
    assert set(re.findall(r"postgresql://\w+:(\w+)@", TEXT)) == {"PASSWORD"}
