"""docs/clusters.md: its commands are parsed, its files are what their readers take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from ray.scripts import scripts

from handssl.cli.app import cli
from handssl.execution.cluster.local_ray import GROWS_TO
from handssl.execution.datasets.cluster_data import ClusterDataConfig
from handssl.runtime.secrets import has_secret
from handssl.service.options import Options

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "clusters.md").read_text()
YAMLS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", TEXT, re.S)]
SHELL = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
PINNED = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)[1]
COMMANDS = [
    line
    for block in SHELL
    for line in block.splitlines()
    if re.search(r"handssl (submit|study|serve|token|jobs)", line) and not line.startswith("export")
]
ray_cli = scripts.cli.commands
# From KubeRay's API ray.io/v1.
KEYS = {
    "RayJob": "activeDeadlineSeconds backoffLimit clusterSelector deletionStrategy entrypoint "
    "entrypointNumCpus entrypointNumGpus entrypointResources jobId managedBy metadata "
    "preRunningDeadlineSeconds rayClusterSpec runtimeEnvYAML shutdownAfterJobFinishes "
    "submissionMode submitterConfig submitterPodTemplate suspend ttlSecondsAfterFinished",
    "rayClusterSpec": "authOptions autoscalerOptions enableInTreeAutoscaling "
    "gcsFaultToleranceOptions headGroupSpec headServiceAnnotations managedBy "
    "rayVersion suspend upgradeStrategy workerGroupSpecs",
    "headGroupSpec": "enableIngress headService labels rayStartParams resources serviceType "
    "template",
    "workerGroupSpecs": "groupName idleTimeoutSeconds labels maxReplicas minReplicas numOfHosts "
    "rayStartParams replicas resources scaleStrategy suspend template",
    "authOptions": "mode secretName",
}
MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
# What the page uses of Kubernetes' own pods.
POD = "containers volumes terminationGracePeriodSeconds"
CONTAINER = "name image envFrom resources volumeMounts"
# Of Ray's runtime environments.
RUNTIME = "working_dir py_modules pip uv conda py_executable env_vars image_uri config"


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


def test_a_service_whose_drivers_are_elsewhere_is_reached_and_names_an_mlflow_they_reach():
    [block] = [text for text in SHELL if "serve" in text and "--ray http" in text]
    token, service = block.splitlines()
    assert token.startswith("handssl token create")
    assert "--host 0.0.0.0" in service
    assert "--mlflow http://mlflow." in service


def test_the_ports_that_a_laptop_forwards_are_those_of_the_service_and_its_links():
    [line] = [line for text in SHELL for line in text.splitlines() if "port-forward" in line]
    own = Options(ROOT, "").port
    assert re.findall(r"--port-forward (\d+)", line) == [str(own), str(own + 1), "8265"]


def test_the_places_are_what_we_read():
    [places] = [one for one in YAMLS if "stores" in one]
    site = ClusterDataConfig.parse(places)
    assert site.place_of("interhand", "1a2b3c4d5e") == "s3://lab/stores/interhand"
    assert site.cache_bytes == 200 * 10**9


def ray_job() -> dict:
    [job] = [one for one in YAMLS if one.get("kind") == "RayJob"]
    return job


def test_every_file_on_the_page_is_looked_at():
    assert len(YAMLS) == 2


def test_pods_mount_what_they_have_and_have_one_image():
    cluster = ray_job()["spec"]["rayClusterSpec"]
    pods = [one["template"]["spec"] for one in (cluster["headGroupSpec"], *workers(cluster))]
    for pod in pods:
        assert set(pod) <= set(POD.split())
        [container] = pod["containers"]
        assert set(container) <= set(CONTAINER.split())
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1


def workers(cluster: dict) -> list[dict]:
    return cluster["workerGroupSpecs"]


def test_the_pods_image_has_the_wheel_that_was_built_and_this_ray():
    [dockerfile] = re.findall(r"```dockerfile\n(.*?)```", TEXT, re.S)
    assert "$(ls -t /tmp/handssl-*.whl | head -1)[postgres]" in dockerfile
    assert f"rayproject/ray:{PINNED}-" in dockerfile
    assert f'"ray[default,train,tune]=={PINNED}"' in dockerfile
    assert "-c /tmp/constraints.txt" in dockerfile
    cluster = ray_job()["spec"]["rayClusterSpec"]
    image = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith(":COMMIT")


def test_the_head_trains_nothing_and_has_the_secrets_alone():
    cluster = ray_job()["spec"]["rayClusterSpec"]
    head = cluster["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    assert "envFrom" in head["template"]["spec"]["containers"][0]
    for group in workers(cluster):
        assert "envFrom" not in group["template"]["spec"]["containers"][0]


def test_the_environment_of_the_job_is_one_of_rays_without_secrets():
    environment = yaml.safe_load(ray_job()["spec"]["runtimeEnvYAML"])
    assert set(environment) <= set(RUNTIME.split())
    assert set(environment["env_vars"]) == {"HANDSSL_LOCAL"}


def test_the_variables_that_say_what_may_come_are_those_that_are_read():
    assert set(re.findall(r"HANDSSL_CLUSTER_\w+", TEXT)) == set(GROWS_TO.values())


def test_every_ray_command_has_the_options_it_is_given():
    lines = [line.strip() for text in SHELL for line in text.splitlines()]
    for line in lines:
        if found := re.search(r"\bray (up|exec|attach|dashboard|start|get-auth-token) (.*)", line):
            known = {name for option in ray_cli[found[1]].params for name in option.opts}
            given = set(re.findall(r"(?<!\S)--[a-z-]+", found[2].split("'")[0]))
            assert given <= known, line


def test_no_head_of_the_page_takes_trials():
    heads = [line for text in SHELL for line in text.splitlines() if "ray start --head" in line]
    assert heads
    assert all("--num-cpus=0 --num-gpus=0" in line for line in heads)


def test_the_job_of_kubernetes_has_the_keys_of_its_kind():
    job = ray_job()
    assert job["apiVersion"] == "ray.io/v1"
    assert job["spec"]["submissionMode"] in MODES
    cluster = job["spec"]["rayClusterSpec"]
    found = {
        "RayJob": [job["spec"]],
        "rayClusterSpec": [cluster],
        "headGroupSpec": [cluster["headGroupSpec"]],
        "workerGroupSpecs": cluster["workerGroupSpecs"],
        "authOptions": [cluster["authOptions"]],
    }
    for name, specs in found.items():
        for spec in specs:
            assert set(spec) <= set(KEYS[name].split()), name
    words = shlex.split(job["spec"]["entrypoint"])
    parsed(words[1:])
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == PINNED
    described = TEXT.partition("| setting | why |")[2]
    for key in {*job["spec"], "authOptions"} - {"rayClusterSpec"}:
        assert f"`{key}`" in described


def test_no_password_is_on_the_page():
    assert not has_secret(TEXT.replace("PASSWORD=PASSWORD", ""))
