"""Checks of devices, threads, open files and shared memory."""

from __future__ import annotations

import os
import resource
import shlex
from pathlib import Path
from typing import Any

from handssl.doctor.check import Finding, Settings, size
from handssl.doctor.versions import torch_report

OPEN_FILES = 8192  # below 4096 Ray itself warns and recommends this
RAY_SHARE = 0.3  # of the memory, which Ray reserves for its objects unless configured otherwise
RAY_LIMIT_BYTES = 10**10  # above it Ray does not start with too little shared memory
OWN_RAY_BYTES = 80 * 1024**2  # reserved by the Ray that handssl starts for a study
_DRIVER = Path("/proc/driver/nvidia/version")


def check_devices(settings: Settings) -> Finding:
    """List the GPUs, and compute something on each."""
    report = torch_report(settings.torch_timeout_s)
    if not report["gpus"]:
        return _without_gpu(report)
    broken = [f"GPU {i}: {gpu['error']}" for i, gpu in enumerate(report["gpus"]) if gpu["error"]]
    if broken:
        fix = f"install a torch for this GPU and driver (this one is for CUDA {report['cuda']})"
        return Finding("devices", "failed", "; ".join(broken), fix)
    listed = "; ".join(map(_gpu, report["gpus"]))
    return Finding("devices", "ok", f"{listed}; CUDA {report['cuda']}{_driver()}")


def check_threads(settings: Settings) -> Finding:
    """Compare the threads that OpenMP will use with the cores this process may use."""
    cores, asked = usable_cores(), os.environ.get("OMP_NUM_THREADS", "")
    # By default OpenMP uses the affinity and ignores a quota.
    threads = int(asked) if asked.isdecimal() else _affinity()
    setting = f"OMP_NUM_THREADS={asked}" if asked else "OMP_NUM_THREADS is not set"
    detail = f"{setting}; {cores:g} of {os.cpu_count()} cores may be used"
    if threads > max(1.0, cores):
        fix = f"export OMP_NUM_THREADS={max(1, int(cores))}"
        return Finding("threads", "warning", f"{detail}: threads would compete for cores", fix)
    return Finding("threads", "ok", detail)


def check_open_files(settings: Settings) -> Finding:
    """Check how many files a process may have open; Ray raises the soft limit by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reach = max(soft, min(hard, 65536)) if hard != resource.RLIM_INFINITY else 65536
    detail = f"{soft} open files, hard limit {'none' if hard < 0 else hard}"
    if reach >= OPEN_FILES:
        return Finding("open files", "ok", detail)
    fix = f"raise the hard limit (limits.conf, or --ulimit nofile={OPEN_FILES} of a container)"
    return Finding("open files", "warning", f"{detail}; Ray wants {OPEN_FILES}", fix)


def check_shared_memory(settings: Settings) -> Finding:
    """Compare the shared memory with what Ray will reserve, and write to it."""
    try:
        found = os.statvfs(settings.shm)
    except OSError as error:
        fix = "mount a tmpfs there (containers: --shm-size=4g)"
        return Finding("shared memory", "failed", f"{settings.shm}: {error.strerror}", fix)
    free = found.f_bsize * found.f_bavail
    wanted = int(RAY_SHARE * _memory_bytes())
    detail = (
        f"{settings.shm}: {size(free)} free; a study that starts its own Ray takes "
        f"{size(OWN_RAY_BYTES)}, a Ray with default settings {RAY_SHARE:.0%} of the memory, "
        f"{size(wanted)}"
    )
    if free < OWN_RAY_BYTES:
        return Finding("shared memory", "warning", f"{detail}: Ray will use files", _larger(wanted))
    if (reason := _not_writable(settings.shm)) is not None:
        fix = shlex.join(["chmod", "1777", str(settings.shm)])
        return Finding("shared memory", "failed", f"{settings.shm}: {reason}", fix)
    if free < min(wanted, RAY_LIMIT_BYTES):
        fix = f"{_larger(wanted)}, or start Ray with --object-store-memory={OWN_RAY_BYTES}"
        return Finding("shared memory", "warning", detail, fix)
    return Finding("shared memory", "ok", detail)


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the number of cores this process may use, by its affinity and its cgroup's quota.

    Args:
        cgroup: Path at which the process sees its control group, version 1 or 2.
    """
    return min(float(_affinity()), _quota(cgroup))


def _affinity() -> int:
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return there or 1


def _quota(cgroup: Path) -> float:
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except OSError:
        quota, period = (_number(cgroup / "cpu" / f"cpu.cfs_{what}_us") for what in _V1)
    if not quota.isdecimal() or not period.isdecimal():
        return float("inf")  # "max", -1 or no value: no limit
    return int(quota) / max(1, int(period))


_V1 = ("quota", "period")


def _number(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _without_gpu(report: dict[str, Any]) -> Finding:
    if not _DRIVER.exists():
        return Finding("devices", "ok", "CPU; no GPU driver here")
    build = f"CUDA {report['cuda']}" if report["cuda"] else "CPU only"
    detail = f"a GPU driver is here{_driver()}, but torch ({build}) finds no GPU"
    fix = "install a torch for this driver, and check CUDA_VISIBLE_DEVICES and nvidia-smi"
    return Finding("devices", "warning", detail, fix)


def _gpu(gpu: dict[str, Any]) -> str:
    precision = "bf16" if gpu["bf16"] else "no bf16"
    return f"{gpu['name']}, {size(gpu['bytes'])}, capability {gpu['capability']}, {precision}"


def _driver() -> str:
    words = _DRIVER.read_text(encoding="utf-8").split() if _DRIVER.exists() else []
    numbers = [word for word in words if word[:1].isdecimal() and "." in word]
    return f", driver {numbers[0]}" if numbers else ""


def _memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _larger(wanted: int) -> str:
    return f"make it larger (containers: --shm-size={max(1, round(wanted * 1.1 / 2**30))}g)"


def _not_writable(folder: Path) -> str | None:
    path = folder / f"handssl-doctor-{os.getpid()}"
    try:
        path.write_bytes(b"\0")
        path.unlink()
    except OSError as error:
        return error.strerror
    return None
