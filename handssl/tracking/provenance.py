"""Which code and machine a result came from: versions, commit, local changes, processor, GPUs."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from handssl.tracking.nvml import gpu_names

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("handssl", "torch", "torchvision", "numpy", "ray", "mlflow")


def provenance() -> dict[str, str]:
    """Return tags with all that is below: code, versions and machine."""
    return git_state() | library_versions() | machine()


@lru_cache(maxsize=1)
def git_state() -> dict[str, str]:
    """Return tags with the commit and whether files differ from it; empty outside a checkout."""
    if _git("ls-files", "--error-unmatch", "errors.py") is None:
        return {}
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    if commit is None:
        return {}
    return {"mlflow.source.git.commit": commit, "git_dirty": str(bool(changes)).lower()}


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that matter, as tags."""
    tags = {"version.python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            tags[f"version.{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return tags


@lru_cache(maxsize=1)
def machine() -> dict[str, str]:
    """Return tags with system, processor, its cores, GPUs and CUDA; what is absent is left out."""
    tags = {
        "machine.platform": platform.platform(),
        "machine.cpu": processor(),
        "machine.cpus": str(os.cpu_count()),
        "machine.gpus": ", ".join(gpu_names()),
        "version.cuda": _torch_cuda(),
    }
    return {name: value for name, value in tags.items() if value}


def processor() -> str:
    """Return the processor's name where Linux tells it, else its architecture."""
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
    """Return 16 hex characters that stand for an environment file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _torch_build() -> list[str]:
    """Return torch's own description of its build; importing it for that alone is too dear."""
    torch = sys.modules.get("torch")
    return [] if torch is None else str(torch.__config__.show()).splitlines()


def _torch_cuda() -> str:
    torch = sys.modules.get("torch")
    return "" if torch is None else str(torch.version.cuda or "")


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(_PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
