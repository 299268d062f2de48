"""Runner of the checks in order; a check that crashes is a finding like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from handssl.doctor.check import Finding, Settings
from handssl.doctor.disk import (
    check_file_system,
    check_secret_files,
    check_space,
    check_storage,
    check_write_speed,
)
from handssl.doctor.machine import (
    check_devices,
    check_open_files,
    check_shared_memory,
    check_threads,
)
from handssl.doctor.services import check_ledger, check_mlflow, check_ray
from handssl.doctor.training import check_ranks, check_ten_steps
from handssl.doctor.versions import check_packages, check_python, check_torch
from handssl.errors import HandsslError
from handssl.runtime.secrets import masked
from handssl.runtime.shell_commands import command

Check = Callable[[Settings], Finding]
Waiting = Callable[[str], AbstractContextManager[object]]

CHECKS: dict[str, Check] = {
    "python": check_python,
    "packages": check_packages,
    "torch": check_torch,
    "devices": check_devices,
    "threads": check_threads,
    "open files": check_open_files,
    "shared memory": check_shared_memory,
    "storage": check_storage,
    "space": check_space,
    "file system": check_file_system,
    "secret files": check_secret_files,
    "write speed": check_write_speed,
    "ledger": check_ledger,
    "mlflow": check_mlflow,
    "ray": check_ray,
    "all-reduce": check_ranks,
    "ten steps": check_ten_steps,
}


def diagnose(
    settings: Settings,
    *,
    checks: Sequence[str] | None = None,
    waiting: Waiting = lambda name: nullcontext(),
) -> Iterator[Finding]:
    """Yield the finding of each check as soon as it is available.

    Args:
        settings: Settings of the checks.
        checks: Names of the checks, in order; default: all.
        waiting: Returns a context that is entered around each check; called with its name.
    """
    for name in CHECKS if checks is None else checks:
        with waiting(name):
            finding = _masked(_found(name, CHECKS[name], settings))
        yield finding


def _found(name: str, check: Check, settings: Settings) -> Finding:
    try:
        return check(settings)
    except HandsslError as error:
        return Finding(name, "failed", _line(error), _hint(settings))
    except Exception as error:
        return Finding(name, "failed", f"{type(error).__name__}: {_line(error)}", _hint(settings))


def _masked(finding: Finding) -> Finding:
    return replace(finding, detail=masked(finding.detail), fix=masked(finding.fix))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


def _hint(settings: Settings) -> str:
    again = command("doctor", storage=settings.storage)
    return f"fix what the message names, then run `{again}` again"
