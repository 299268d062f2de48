"""Metrics as Prometheus reads them: well-formed, right, and what the dashboard asks for."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from handssl.service.dispatch.managed_subprocess import free_port
from handssl.service.queue.admission import admit
from handssl.service.queue.listing import Filter, page
from tests.service.services import served

ROOT = Path(__file__).parents[2]


def values(text: str) -> dict[str, float]:
    """Return every sample by its name and labels."""
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_number_is_what_the_queue_says(lab):
    with served(lab) as url:
        found = values(requests.get(f"{url}/metrics", timeout=30).text)
    assert {state: found[f"handssl_jobs default {state}"] for state in _STATES} == _STATES
    assert found["handssl_jobs_failed lost default"] == 1
    assert found["handssl_job_wait_seconds_count default"] == 3
    assert found["handssl_job_wait_seconds_bucket +Inf default"] == 3
    assert 0 <= found["handssl_job_wait_seconds_sum default"] < 60
    assert found["handssl_dispatches"] == 1
    assert found["handssl_trials running s2"] == 2
    assert found["handssl_views_per_second s2"] == 800
    assert found["handssl_best_median_mm s2"] == 21.5
    assert found["handssl_trials_planned s2"] == 3
    assert found["handssl_left_seconds s2"] == 5.0
    assert found["handssl_device_seconds s2"] == pytest.approx(360.0)


def test_states_and_causes_without_a_case_are_exported_as_zero(lab):
    with served(lab) as url:
        found = values(requests.get(f"{url}/metrics", timeout=30).text)
    assert found["handssl_trials failed s2"] == 0
    assert found["handssl_jobs_failed driver default"] == 0


def test_a_job_that_is_started_again_has_not_waited_longer(lab):
    admit(lab.queue, lab.lease, lab.limits, lambda *_: None)  # all of the others
    with served(lab) as url:
        before = waits(url)
        [[failed], _] = page(lab.queue, Filter(("failed",)))
        lab.queue.retry(failed.id)
        admit(lab.queue, lab.lease, lab.limits, lambda *_: None)
        assert lab.queue.get(failed.id).state == "running"
        assert waits(url) == before
    assert before["handssl_job_wait_seconds_count default"] == 4


def waits(url: str) -> dict[str, float]:
    found = values(requests.get(f"{url}/metrics", timeout=30).text)
    return {name: value for name, value in found.items() if "_wait_" in name}


_STATES = {"queued": 1, "running": 1, "paused": 0, "succeeded": 1, "failed": 1, "cancelled": 1}


def test_prometheus_finds_nothing_to_mend_and_reads_them(lab, prometheus, tmp_path):
    server, tool = prometheus
    secret = lab.tokens.create("prometheus", "viewer")
    (tmp_path / "token").write_text(secret)
    with served(lab) as url:
        head = {"Authorization": f"Bearer {secret}"}
        text = requests.get(f"{url}/metrics", headers=head, timeout=30).text
        words = [tool, "check", "metrics"]
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        config = yaml.safe_load((ROOT / "dashboards" / "prometheus.yml").read_text())
        config["global"]["scrape_interval"] = "1s"
        ours = config["scrape_configs"][0]
        ours["authorization"]["credentials_file"] = str(tmp_path / "token")
        ours["static_configs"][0]["targets"] = [url.removeprefix("http://")]
        file = tmp_path / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        check = subprocess.run(
            [tool, "check", "config", str(file)], capture_output=True, timeout=60
        )
        assert check.returncode == 0, check.stdout + check.stderr
        assert asked(server, file, tmp_path, 'handssl_jobs{state="queued"}') == "1"


def asked(server: str, config: Path, folder: Path, query: str) -> str:
    """Start a Prometheus and return what it answers as soon as it has read something."""
    port = free_port()
    words = [server, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*words, f"--storage.tsdb.path={folder}/tsdb"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                place = f"http://127.0.0.1:{port}/api/v1/query"
                found = requests.get(place, params={"query": query}, timeout=5).json()
            except (requests.RequestException, ValueError):
                found = {}
            if rows := found.get("data", {}).get("result"):
                return str(rows[0]["value"][1])
            time.sleep(0.2)
        raise AssertionError("Prometheus has read nothing")
    finally:
        process.terminate()
        process.wait(30)
