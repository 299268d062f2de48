"""Samples of the machine's load while trials run, under MLflow's names for system metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from handssl.runtime.nvml import gpu_load

PERIOD_S = 10.0
# A long run is sampled less and less often, so that its file and its curves stay small.
_SAMPLES_AT_FULL_RATE = 500
_BYTES_PER_MB = 1e6


def sample(folder: Path) -> dict[str, float]:
    """Return the load of this machine and of this process.

    Args:
        folder: Folder on the disk whose free space is measured.

    Returns:
        `system/...`: CPUs since the last call and GPUs in percent, memory in MB and percent.
    """
    memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(folder))
    values = {
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_megabytes": memory.used / _BYTES_PER_MB,
        "system_memory_usage_percentage": 100.0 * memory.used / memory.total,
        "process_memory_usage_megabytes": psutil.Process().memory_info().rss / _BYTES_PER_MB,
        "disk_usage_percentage": disk.percent,
        "disk_available_megabytes": disk.free / _BYTES_PER_MB,
    } | gpu_load()
    return {f"system/{name}": round(value, 1) for name, value in values.items()}


def period_s(running_s: float) -> float:
    """Return the pause before the next sample, seconds.

    Args:
        running_s: Time since the first sample, seconds.

    Example:
        >>> period_s(60.0), period_s(100_000.0)
        (10.0, 200.0)
    """
    return max(PERIOD_S, running_s / _SAMPLES_AT_FULL_RATE)


class Sampler:
    """Takes a sample every few seconds in a background thread.

    Args:
        folder: Folder on the disk whose free space is measured.
        take: Called with each sample.
    """

    def __init__(self, folder: Path, take: Callable[[dict[str, float]], None]) -> None:
        self._folder, self._take = folder, take
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread unless it is running."""
        if self._thread is None:
            psutil.cpu_percent()  # the first call has nothing to compare with
            self._thread = threading.Thread(target=self._run, name="system", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(PERIOD_S)

    def _run(self) -> None:
        start_s = time.monotonic()
        while not self._stopping.wait(period_s(time.monotonic() - start_s)):
            self._take(sample(self._folder))
