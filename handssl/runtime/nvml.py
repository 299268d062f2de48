"""GPU information from NVIDIA's driver library (NVML): no package, no CUDA context."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_LIBRARY = "libnvidia-ml.so.1"
_NAME_BYTES = 96
_BYTES_PER_MB = 1e6
_MW_PER_W = 1000.0


class _Memory(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_ulonglong) for name in ("total", "free", "used"))


class _Utilization(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint) for name in ("gpu", "memory"))


def gpu_names() -> tuple[str, ...]:
    """Return the names of this machine's NVIDIA GPUs; empty without a driver."""
    library, handles = _devices()
    return tuple(_name(library, handle) for handle in handles)


def gpu_bytes() -> tuple[int, ...]:
    """Return the memory of this machine's NVIDIA GPUs in bytes; empty without a driver."""
    library, handles = _devices()
    found = []
    for handle in handles:
        memory = _Memory()
        if _asked(library.nvmlDeviceGetMemoryInfo, handle, memory):
            found.append(int(memory.total))
    return tuple(found)


def gpu_load() -> dict[str, float]:
    """Return load, memory and power of every GPU under MLflow's names; empty without a driver."""
    library, handles = _devices()
    load: dict[str, float] = {}
    for number, handle in enumerate(handles):
        values = _memory(library, handle) | _utilization(library, handle) | _power(library, handle)
        load |= {f"gpu_{number}_{name}": value for name, value in values.items()}
    return load


@lru_cache(maxsize=1)
def _devices() -> tuple[Any, tuple[ctypes.c_void_p, ...]]:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None, ()
    count = ctypes.c_uint()
    if library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return None, ()
    handles = [ctypes.c_void_p() for _ in range(count.value)]
    found = (
        handle
        for number, handle in enumerate(handles)
        if not library.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle))
    )
    return library, tuple(found)


def _name(library: Any, handle: ctypes.c_void_p) -> str:
    text = ctypes.create_string_buffer(_NAME_BYTES)
    failed = library.nvmlDeviceGetName(handle, text, _NAME_BYTES)
    return "unknown GPU" if failed else text.value.decode(errors="replace")


def _memory(library: Any, handle: ctypes.c_void_p) -> dict[str, float]:
    memory = _Memory()
    if not _asked(library.nvmlDeviceGetMemoryInfo, handle, memory) or not memory.total:
        return {}
    return {
        "memory_usage_megabytes": memory.used / _BYTES_PER_MB,
        "memory_usage_percentage": 100.0 * memory.used / memory.total,
    }


def _utilization(library: Any, handle: ctypes.c_void_p) -> dict[str, float]:
    rates = _Utilization()
    if not _asked(library.nvmlDeviceGetUtilizationRates, handle, rates):
        return {}
    return {"utilization_percentage": float(rates.gpu)}


def _power(library: Any, handle: ctypes.c_void_p) -> dict[str, float]:
    power_mw = ctypes.c_uint()
    if not _asked(library.nvmlDeviceGetPowerUsage, handle, power_mw):
        return {}
    return {"power_usage_watts": power_mw.value / _MW_PER_W}


def _asked(call: Callable[..., int], handle: ctypes.c_void_p, answer: Any) -> bool:
    """Query a value into `answer`; return whether the device supports it."""
    return call(handle, ctypes.byref(answer)) == 0
