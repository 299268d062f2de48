"""A study as a Ray job: in the cluster it runs in, and with a storage that outlives the job."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from handssl.errors import InputError
from handssl.execution.cluster.address import resolve_address
from tests.execution.clusters import local_cluster

pytestmark = pytest.mark.faults

STUDY = """
name: job
data: {pretrain: 96, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}
halving: null
references: false
cells: [{composition: rotate}]
pretrain:
  epochs: 2
  global_batch: 16
  encoder: {width: 8, input_px: 32}
  heads: {projection_hidden: 8, projection_out: 8, relative_hidden: 8}
  optimizer: {warmup_epochs: 1}
"""
RUN = [sys.executable, "-m", "handssl.cli", "study", "run"]


def ran(words, cwd, **env):
    done = subprocess.run(
        words, cwd=cwd, env=os.environ | env, capture_output=True, text=True, timeout=240
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_the_argument_goes_before_the_environment_and_local_before_both(monkeypatch):
    told = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert resolve_address(None, told.append) is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert resolve_address("auto", told.append) == "auto"
    assert resolve_address("local", told.append) is None
    assert told == []
    assert resolve_address(None, told.append) == "10.0.0.1:6379"
    [note] = told
    assert "10.0.0.1:6379 ($RAY_ADDRESS); --address local" in note.message


def test_the_address_of_a_dashboard_is_refused_with_the_variable_it_belongs_into(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    with pytest.raises(InputError, match=r"export RAY_API_SERVER_ADDRESS=http://127\.0"):
        resolve_address(None, print)


@pytest.mark.parametrize("variable", ["RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_JOB_ID"])
def test_a_job_without_a_storage_is_refused_with_the_options_to_set(tmp_path, variable):
    code, said = ran([*RUN, "smoke"], tmp_path, **{variable: "{}"})
    assert code == 2
    assert "--storage" in said
    assert "HANDSSL_HOME" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(400)
def test_a_job_uses_the_cluster_it_runs_in_and_needs_a_storage(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    with local_cluster(1, dashboard=True) as cluster:
        ray = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit"]
        submit = [*ray, "--address", cluster.dashboard, "--", *RUN, str(tmp_path / "study.yaml")]
        code, said = ran(submit, cluster.folder, **cluster.env)
        assert code != 0
        assert "got none in a Ray job" in said
        code, said = ran(
            [*submit, "--storage", str(tmp_path / "runs")], cluster.folder, **cluster.env
        )
        assert code == 0, said
        assert f"uses the Ray cluster at {cluster.address} ($RAY_ADDRESS)" in said
    assert (tmp_path / "runs" / "ledger.db").exists()
