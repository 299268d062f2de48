"""Code and machine that a result came from: digest, commit, versions, processor, GPUs.

None of it is part of a trial's identity: a result stays valid under other code until
`NUMERICS_VERSION` is raised.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from handssl.runtime.installation import code_digest, git_state
from handssl.runtime.nvml import gpu_names

CODE_TAG = "code_digest"
_LIBRARIES = ("handssl", "torch", "torchvision", "numpy", "ray", "mlflow")
_OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless")


def provenance() -> dict[str, str]:
    """Return tags with code, versions and machine."""
    return {CODE_TAG: code_digest()} | git_state() | library_versions() | machine()


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that affect results, as tags."""
    tags = {"version.python": platform.python_version()}
    for name in (*_LIBRARIES, *_OPENCV):
        try:
            tags[f"version.{name.partition('-')[0]}"] = version(name)
        except PackageNotFoundError:
            continue
    return tags


@lru_cache(maxsize=1)
def machine() -> dict[str, str]:
    """Return tags with system, processor, cores, GPUs and CUDA; absent ones are left out."""
    tags = {
        "machine.platform": platform.platform(),
        "machine.cpu": processor(),
        "machine.cpus": str(os.cpu_count()),
        "machine.gpus": ", ".join(gpu_names()),
        "version.cuda": _torch_cuda(),
    }
    return {name: value for name, value in tags.items() if value}


def rounding_tags() -> dict[str, str]:
    """Return what the rounding of this process depends on besides code and versions, as tags.

    Results repeat to the bit where these, the versions and the number of processes are equal: the
    processor, the vector instructions that torch uses, and its number of threads.

    Example:
        >>> sorted(rounding_tags())
        ['machine.cpu', 'machine.threads', 'machine.vector']
    """
    import torch

    return {
        "machine.cpu": processor(),
        "machine.vector": torch.backends.cpu.get_cpu_capability(),
        "machine.threads": str(torch.get_num_threads()),
    }


def processor() -> str:
    """Return the processor's name if Linux reports it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()


@lru_cache(maxsize=1)
def environment_text() -> str:
    """Return the installed packages as pip's constraints; machine and torch's build as comments."""
    facts = [f"{name}: {value}" for name, value in (library_versions() | machine()).items()]
    names = {str(d.name): d.version for d in distributions() if d.name}
    pins = [f"{name}=={names[name]}" for name in sorted(names, key=str.lower)]
    comments = [f"# {line}".rstrip() for line in (*facts, *_torch_build())]
    return "\n".join([*comments, *pins, ""])


def environment_digest(path: Path) -> str:
    """Return a digest of an environment file, 16 hexadecimal characters."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _torch_build() -> list[str]:
    """Return torch's description of its build if imported; importing it just for this is slow."""
    torch = sys.modules.get("torch")
    return [] if torch is None else str(torch.__config__.show()).splitlines()


def _torch_cuda() -> str:
    torch = sys.modules.get("torch")
    return "" if torch is None else str(torch.version.cuda or "")
