"""Grafana's dashboards: generated from the table of metrics, and every panel shows data."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from handssl.execution.operator_metrics import (
    NODE_METRICS,
    RAY_METRICS,
    SERVICE_METRICS,
    markdown,
)
from handssl.service.dispatch.managed_subprocess import free_port
from handssl.service.grafana.__main__ import files, main
from tests.execution.clusters import local_cluster, wait_until
from tests.service.services import served

FOLDER = Path(__file__).parents[2] / "dashboards"
PAGES = [json.loads(text) for text in files().values()]
PANELS = [panel for page in PAGES for panel in page["panels"]]
# Trials as a process on a GPU exports them, on a machine without one.
TRAINING = """
import sys
import threading, time
import ray, torch
from types import SimpleNamespace

@ray.remote(num_cpus=1)
class Training:
    def train(self):
        from handssl.execution.tune.metrics_exporter import Exporter
        torch.cuda.is_available = lambda: True
        torch.cuda.max_memory_allocated = lambda: 2**30
        self.exporter = Exporter()
        self.trial = SimpleNamespace(stage="objectives", objective="relative")
        self.exporter.ended(self.trial, "completed")
        threading.Thread(target=self.epochs, daemon=True).start()

    def epochs(self):
        while True:  # each lasts a second
            self.exporter.epoch(self.trial, {"train/views_per_s": 800.0})
            time.sleep(1)

ray.init(sys.argv[1], log_to_driver=False)
training = Training.remote()
ray.get(training.train.remote())
print("exported", flush=True)
sys.stdin.read()
"""
# Lines of Ray's exporter on a node with a GPU, which this machine lacks.
GPU = "".join(
    f'# TYPE ray_{name} gauge\nray_{name}{{ip="10.0.0.2",GpuIndex="0",GpuDeviceName="H200"}} 50\n'
    for name in ("node_gpus_utilization", "node_gram_used")
)


def test_the_files_are_those_that_the_command_writes(tmp_path):
    main(tmp_path)
    command = "python -m handssl.service.grafana dashboards/grafana"
    written = sorted(tmp_path.iterdir())
    assert [path.name for path in written] == ["queue.json", "sweep.json"]
    for path in written:
        kept = FOLDER / "grafana" / path.name
        assert kept.read_text() == path.read_text(), f"write them anew: {command}"


def test_the_page_for_operators_has_the_table():
    assert markdown() in (FOLDER / "operators.md").read_text()


def test_the_service_exports_the_metrics_of_the_table_with_their_labels(lab):
    with served(lab) as url:
        text = requests.get(f"{url}/metrics", timeout=30).text
    found = {
        family.name: {*family.samples[0].labels} - {"le"}
        for family in text_string_to_metric_families(text)
    }
    assert found == {metric.name: {*metric.labels} for metric in SERVICE_METRICS}


def test_every_panel_says_what_it_shows_and_in_which_unit():
    for panel in PANELS:
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert defaults["unit"]
        assert defaults["thresholds"]["steps"][0]["value"] is None
    places = [[one["gridPos"][name] for name in "xywh"] for one in PANELS]
    assert all(x + w <= 24 for x, _, w, _ in places)


def test_a_dashboard_can_be_limited_to_a_study_or_a_queue():
    for page, name in zip(PAGES, ("study", "queue"), strict=True):
        variable = page["templating"]["list"][1]
        assert (variable["name"], variable["includeAll"]) == (name, True)
        ours = [t["expr"] for p in page["panels"] for t in p["targets"]]
        of_service = [one for one in ours if "ray_" not in one and "dispatches" not in one]
        assert all(f'{name}=~"${name}"' in one for one in of_service)


def test_the_provisioning_finds_the_dashboards_and_prometheus():
    folder = FOLDER / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "handssl.yml").read_text())["datasources"]
    [given] = yaml.safe_load((folder / "dashboards" / "handssl.yml").read_text())["providers"]
    assert (source["type"], source["url"]) == ("prometheus", "${PROMETHEUS_URL}")
    assert given["options"]["path"] == "${HANDSSL_DASHBOARDS}"
    page = (FOLDER / "operators.md").read_text()
    assert "PROMETHEUS_URL=" in page
    assert "HANDSSL_DASHBOARDS=" in page


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_every_panel_shows_data_of_a_real_service_and_a_real_ray(lab, prometheus, tmp_path):
    with (
        local_cluster(1, dashboard=True) as cluster,
        training(cluster),
        served(lab) as service_url,
        gpu_node(tmp_path) as gpu,
    ):
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        config["global"]["scrape_interval"] = "1s"
        ours, rays = config["scrape_configs"]
        del ours["authorization"]
        ours["static_configs"][0]["targets"] = [service_url.removeprefix("http://")]
        found = cluster.folder / "ray" / "prom_metrics_service_discovery.json"
        rays["file_sd_configs"][0] |= {"files": [str(found)], "refresh_interval": "1s"}
        rays["static_configs"] = [{"targets": [gpu]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        with running(prometheus[0], tmp_path) as address:
            for panel in PANELS:
                for target in panel["targets"]:
                    wait_for_data(address, panel["title"], target["expr"])
            known = exported_names(address)
    assert {one.series for one in (*RAY_METRICS, *NODE_METRICS)} <= known


@contextmanager
def training(cluster):
    process = cluster.start(["-c", TRAINING, cluster.address])
    try:
        assert process.stdout.readline() == "exported\n"
        yield
    finally:
        cluster.end(process)


@contextmanager
def gpu_node(folder):
    """Serve the metrics of a GPU as a file."""
    (folder / "gpu").mkdir()
    (folder / "gpu" / "metrics").write_text(GPU)
    with program("python3", "-m", "http.server", "{port}", "--directory", f"{folder}/gpu") as at:
        yield at


@contextmanager
def running(server, folder):
    options = ["--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder}/tsdb"]
    with program(server, f"--config.file={folder}/prometheus.yml", *options) as address:
        yield f"http://{address}"


@contextmanager
def program(*words):
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([word.format(port=port) for word in words], **quiet)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for_data(address, title, query):
    """Ask as Grafana does with all studies or queues chosen, until there is an answer."""
    asked = query.replace("$study", ".*").replace("$queue", ".*")
    wait_until(lambda: answer(address, asked), f"{title}: {asked}")


def answer(address, query):
    try:
        found = requests.get(f"{address}/api/v1/query", params={"query": query}, timeout=5).json()
    except (requests.RequestException, ValueError):
        return []  # it is starting
    assert found["status"] == "success", found
    return [row for row in found["data"]["result"] if row["value"][1] != "NaN"]


def exported_names(address):
    names = requests.get(f"{address}/api/v1/label/__name__/values", timeout=5).json()
    return {*names["data"]}
