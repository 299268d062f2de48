"""Explain out-of-memory errors of a step: required and available memory, and options to change."""

from __future__ import annotations

import contextlib
import os
import re
from types import TracebackType

import torch

from handssl.distributed import world_size
from handssl.errors import InputError
from handssl.training.config import PretrainConfig
from handssl.training.execution import Precision

_CPU_ALLOCATOR = ("DefaultCPUAllocator", "not enough memory", "can't allocate memory")
_BYTES = re.compile(r"allocate\s+(\d+)\s+bytes")
_AMOUNT = re.compile(r"allocate\s+([\d.]+)\s+(bytes|[KMGT]iB)")
_UNITS = {"bytes": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4}


class MemoryShortError(InputError):
    """A step needs more memory than the device has."""


class StepMemory:
    """Context that converts an allocator's error into one that says what to change.

    Args:
        config: Configuration of the run.
        views_per_step: Number of views of all ranks and passes.
        precision: Precision of the encoder.
        device: Device of the step.
        sharing: Number of trials that share the device.
    """

    def __init__(
        self,
        config: PretrainConfig,
        views_per_step: int,
        precision: Precision,
        device: torch.device,
        sharing: int = 1,
    ) -> None:
        self._config, self._views_per_step = config, views_per_step
        self._precision, self._device, self._sharing = precision, device, sharing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and is_memory_short(error):
            raise MemoryShortError(self._message(str(error))) from error

    def _message(self, reason: str) -> str:
        wanted = asked_bytes(reason)
        more = f" (one tensor needed {_readable(wanted)})" if wanted else ""
        return (
            f"expected a step that fits into the memory of {self._device}{self._there()}, it does "
            f"not{more}: global_batch {self._config.global_batch} is {self._views_per_step} views "
            f"a step on {world_size()} worker(s) in {self._config.accumulation} pass(es). "
            f"{self._advice()}"
        )

    def _there(self) -> str:
        total = memory_bytes(self._device)
        return f" ({_readable(total)})" if total else ""

    def _advice(self) -> str:
        where = "GPUs" if self._device.type == "cuda" else "machines"
        offers = [f"more workers (--workers) on other {where}"]
        if self._sharing > 1:
            fewer = f"--trials-per-gpu {self._sharing // 2}, here {self._sharing}"
            offers.insert(0, f"fewer trials that share a GPU ({fewer})")
        if self._precision != "bf16":
            offers.append("--precision bf16")
        passes = self._config.accumulation * 2
        if self._config.global_batch < 2 * passes:
            return f"Use {' or '.join(offers)}, or a smaller encoder.width or encoder.input_px"
        return (
            f"Use {', '.join(offers)}, or --set pretrain.accumulation={passes}; accumulation "
            "changes which samples are negatives of each other and share BatchNorm statistics, so "
            "the trial gets another identity"
        )


def is_memory_short(error: BaseException) -> bool:
    """Return whether an error comes from a memory allocator.

    Example:
        >>> is_memory_short(torch.OutOfMemoryError("CUDA out of memory."))
        True
        >>> is_memory_short(RuntimeError("shapes differ"))
        False
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _CPU_ALLOCATOR)


def asked_bytes(message: str) -> int | None:
    """Return the requested bytes in an allocator's message, None if there are none.

    Example:
        >>> asked_bytes("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")
        2147483648
        >>> asked_bytes("you tried to allocate 4096 bytes. Error code 12")
        4096
    """
    if exact := _BYTES.search(message):
        return int(exact[1])
    found = _AMOUNT.search(message)
    return int(float(found[1]) * 1024 ** _UNITS[found[2]]) if found else None


def memory_bytes(device: torch.device) -> int | None:
    """Return the memory of a device in bytes, None if it is unknown."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type != "cpu":
        return None
    with contextlib.suppress(OSError, ValueError, AttributeError):  # not on every system
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _readable(count: int) -> str:
    for unit, scale in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"
