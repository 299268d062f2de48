"""Threads, open files, shared memory and GPUs, with too little of each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handssl.doctor import Settings, diagnose
from handssl.doctor.machine import usable_cores
from tests.doctor.faulty_calls import FIND, ROOT, found_on_small_disk

SETTINGS = Settings(Path("/nowhere"), "")
GPU = {"name": "GPU", "bytes": 8e9, "capability": "9.0", "error": "", "bf16": True}


def found(name, settings=SETTINGS):
    (finding,) = diagnose(settings, checks=[name])
    return finding


def test_more_threads_than_cores_are_a_warning_with_the_number_to_set(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    assert found("threads").verdict == "warning"
    assert found("threads").fix.startswith("export OMP_NUM_THREADS=")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert found("threads").verdict == "ok"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "25000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.25),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_cores_are_those_a_control_group_leaves(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(("hard", "verdict"), [(1024, "warning"), (8192, "ok")])
def test_a_low_limit_of_open_files_is_a_warning(hard, verdict):
    lower = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (512, {hard}))\n"
    options = json.dumps({"storage": "/nowhere", "tracking_uri": ""})
    done = subprocess.run(
        [sys.executable, "-c", lower + FIND, options, "open files"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    (finding,) = json.loads(done.stdout)
    assert finding["verdict"] == verdict, done.stderr
    assert f"512 open files, hard limit {hard}" in finding["detail"]


def test_a_system_without_shared_memory_fails(tmp_path):
    finding = found("shared memory", Settings(tmp_path, "", shm=tmp_path / "shm"))
    assert finding.verdict == "failed"
    assert "No such file or directory" in finding.detail
    assert "--shm-size" in finding.fix


def test_shared_memory_that_is_too_small_for_a_study_is_a_warning(tmp_path):
    point = tmp_path / "shm"
    options = {"shm": str(point)}
    (finding,) = found_on_small_disk(point, options, ["shared memory"], mount="size=64m")
    assert finding["verdict"] == "warning"
    assert "Ray will use files" in finding["detail"]
    assert "--shm-size=" in finding["fix"]


def test_shared_memory_that_cannot_be_written_fails(tmp_path):
    point = tmp_path / "shm"
    options = {"shm": str(point)}
    (finding,) = found_on_small_disk(point, options, ["shared memory"], mount="ro,size=1g")
    assert finding["verdict"] == "failed"
    assert finding["fix"] == f"chmod 1777 {point}"


@pytest.fixture
def report(monkeypatch):
    values = {"cuda": "12.8", "gpus": []}
    monkeypatch.setattr("handssl.doctor.machine.torch_report", lambda timeout_s: values)
    return values


def test_gpus_are_listed_with_what_decides_how_they_are_used(report):
    report["gpus"] = [GPU, GPU | {"bf16": False}]
    finding = found("devices")
    assert finding.verdict == "ok"
    assert "GPU, 8.0 GB, capability 9.0, bf16; GPU, 8.0 GB, capability 9.0, no bf16" in (
        finding.detail
    )


def test_a_gpu_that_cannot_compute_fails(report):
    report["gpus"] = [GPU, GPU | {"error": "no kernel image is available"}]
    finding = found("devices")
    assert finding.verdict == "failed"
    assert finding.detail == "GPU 1: no kernel image is available"
    assert "CUDA 12.8" in finding.fix


def test_no_gpu_is_fine_unless_a_driver_says_there_is_one(report, tmp_path, monkeypatch):
    monkeypatch.setattr("handssl.doctor.machine._DRIVER", tmp_path / "version")
    assert found("devices").detail == "CPU; no GPU driver here"
    text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu\n"
    (tmp_path / "version").write_text(text)
    finding = found("devices")
    assert finding.verdict == "warning"
    assert "driver 570.86.15, but torch (CUDA 12.8) finds no GPU" in finding.detail
    assert finding.fix
