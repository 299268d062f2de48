"""Checks of Python, package versions, and whether torch and torchvision match."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from packaging.requirements import Requirement

from handssl.doctor.check import Finding, Settings
from handssl.doctor.child import NoAnswerError, ask

PYTHON = ((3, 11), (3, 14))  # as in pyproject.toml
# Features that need an optional package; all other packages are required.
OPTIONAL = {
    "albumentations": "the backend `albumentations` of the transformations",
    "ijson": "reading InterHand2.6M",
    "mlflow": "MLflow: training and the ledger work without it",
    "pandas": "tables as data frames",
    "psycopg": "a PostgreSQL ledger",
    "ray": "studies, and pretraining on several workers",
}


def check_python(settings: Settings) -> Finding:
    """Compare the interpreter with the versions that handssl supports."""
    least, beyond = (".".join(map(str, bound)) for bound in PYTHON)
    found = ".".join(map(str, sys.version_info[:3]))
    if PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        return Finding("python", "ok", found)
    detail = f"expected Python from {least} and below {beyond}, found {found}"
    return Finding("python", "failed", detail, "create an environment with Python 3.12")


def check_packages(settings: Settings) -> Finding:
    """Compare the installed packages with the requirements in handssl's metadata."""
    asked = [Requirement(text) for text in requires("handssl") or ()]
    wanted = [one for one in asked if _applies(one)]
    wrong = [text for one in wanted if (text := _out_of_range(one))]
    missing = [one.name for one in wanted if _installed(one.name) is None]
    needed = [name for name in missing if name.lower() not in OPTIONAL]
    if wrong or needed:
        detail = "; ".join([*wrong, *(f"{name} is missing" for name in needed)])
        return Finding("packages", "failed", detail, _install(wanted, {*needed, *_names(wrong)}))
    if missing:
        without = "; ".join(f"without {name}: no {OPTIONAL[name.lower()]}" for name in missing)
        return Finding("packages", "warning", without, _install(wanted, set(missing)))
    named = ", ".join(f"{name} {_installed(name)}" for name in ("handssl", "ray", "mlflow"))
    return Finding("packages", "ok", f"{named} and {len(wanted) - 2} more, all within their ranges")


def check_torch(settings: Settings) -> Finding:
    """Load torch and torchvision together, and check for an operator that exists if they match."""
    pair = f"torch {_installed('torch')}, torchvision {_installed('torchvision')}"
    fix = "install the two in one command: pip install --upgrade torch torchvision"
    try:
        report = torch_report(settings.torch_timeout_s)
    except NoAnswerError as error:
        return Finding("torch", "failed", f"{pair} cannot be loaded: {error}", fix)
    if not report["operators"]:
        detail = f"{pair}: the operator torchvision::nms is missing, the versions do not match"
        return Finding("torch", "failed", detail, fix)
    if wrong := _wanted_by_torchvision():
        return Finding(
            "torch", "warning", f"{wrong} by torchvision {_installed('torchvision')}", fix
        )
    return Finding("torch", "ok", f"{pair} load together")


@cache
def torch_report(timeout_s: float) -> dict[str, Any]:
    """Return torch's report of its version and the devices, from a separate process."""
    return ask("handssl.doctor.torch_report:report", timeout_s=timeout_s)


def _applies(requirement: Requirement) -> bool:
    if requirement.marker is None:
        return True
    extra = "postgres" if os.environ.get("HANDSSL_LEDGER", "").startswith("postgresql") else ""
    return requirement.marker.evaluate({"extra": extra})


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _out_of_range(requirement: Requirement) -> str:
    found = _installed(requirement.name)
    if found is None or requirement.specifier.contains(found, prereleases=True):
        return ""
    return f"{requirement.name} {found}, expected {requirement.specifier}"


def _names(wrong: list[str]) -> list[str]:
    return [text.split()[0] for text in wrong]


def _install(wanted: list[Requirement], names: set[str]) -> str:
    chosen = [f"'{one.name}{one.specifier}'" for one in wanted if one.name in names]
    return " ".join(["pip install", *chosen])


def _wanted_by_torchvision() -> str:
    wanted = map(Requirement, requires("torchvision") or ())
    return next((_out_of_range(one) for one in wanted if one.name == "torch"), "")
