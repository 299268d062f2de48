"""Checks that the ledger, MLflow and Ray are reachable and can be written."""

from __future__ import annotations

import os
import socket
from typing import Any
from urllib.parse import urlsplit

from handssl.doctor.check import Finding, Settings
from handssl.doctor.child import NoAnswerError, ask
from handssl.runtime.secrets import masked_url
from handssl.tracking.conventions import mlflow_command

_CONNECT_S = 5.0


def check_ledger(settings: Settings) -> Finding:
    """Open the ledger and read every record; count damaged checkpoints that were set aside."""
    from handssl.ledger import has_results

    if not has_results(settings.storage):
        return Finding("ledger", "skipped", f"{settings.storage} holds no results yet")
    found = ask(
        "handssl.doctor.records:inspect", str(settings.storage), timeout_s=settings.mlflow_timeout_s
    )
    if found["damaged"]:
        some = ", ".join(found["damaged"][:3])
        detail = f"{len(found['damaged'])} of {found['records']} records are damaged: {some}"
        fix = "restore ledger.db from a backup, or move it away and run the study again"
        return Finding("ledger", "failed", detail, fix)
    if found["aside"]:
        detail = f"{found['records']} records; damaged checkpoints set aside: {found['aside'][0]}"
        detail += f" and {len(found['aside']) - 1} more" if len(found["aside"]) > 1 else ""
        return Finding("ledger", "warning", detail, "check the disk; then remove those files")
    return Finding("ledger", "ok", f"{found['records']} records, all readable")


def check_mlflow(settings: Settings) -> Finding:
    """Check that MLflow can be written: to a server a temporary experiment, to a file nothing."""
    uri = settings.tracking_uri
    shown = masked_url(uri)
    if uri.startswith("http") and (reason := _silent(uri)) is not None:
        return Finding("mlflow", "failed", f"{shown}: {reason}", _mlflow_fix(shown, reason))
    try:
        found = ask(
            "handssl.tracking.mlflow_check:check_mlflow", uri, timeout_s=settings.mlflow_timeout_s
        )
    except NoAnswerError as error:
        reason = str(error)
        return Finding("mlflow", "failed", f"{shown}: {reason}", _mlflow_fix(shown, reason))
    return Finding("mlflow", "ok", f"{shown}: {found['state']}")


def check_ray(settings: Settings) -> Finding:
    """Run a task in the cluster at an address, or in a Ray started for it with one CPU."""
    address = settings.ray_address
    if address is not None and (reason := _nobody_at(address)) is not None:
        fix = "run `ray status` on the head to get the address; the port must be open from here"
        return Finding("ray", "failed", f"{address}: {reason}", fix)
    try:
        found = ask(
            "handssl.execution.cluster.check:check_ray", address, timeout_s=settings.ray_timeout_s
        )
    except NoAnswerError as error:
        return Finding("ray", "failed", f"{address or 'local'}: {error}", _ray_fix(address, error))
    return _ray(found, address)


def _ray(found: dict[str, Any], address: str | None) -> Finding:
    where = f"cluster at {address}" if address else "a local Ray starts and stops"
    detail = f"{where}; Ray {found['ray']}, Python {found['python']}, {found['nodes']} node(s)"
    detail += f", {found['cpus']:g} CPUs, {found['gpus']:g} GPUs"
    if not found["token"]:
        fix = "ray get-auth-token --generate, and unset RAY_AUTH_MODE or set it to token"
        detail += "; it requires no token, so anyone who can reach its port can run code"
        return Finding("ray", "warning", detail, fix)
    detail += ", token authentication on"
    if listens := found.get("listens"):
        detail += f"; listens {listens}"
    if close := found.get("close"):
        return Finding("ray", "warning", detail, close)
    return Finding("ray", "ok", detail)


def _nobody_at(address: str) -> str | None:
    """Return why no connection can be made; None if one can, or the address is `auto`."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return None if address == "auto" else "expected HOST:PORT or auto"
    return _unreachable(host.strip("[]"), int(port))


def _silent(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        return str(error)
    return _unreachable(parts.hostname or "", port)


def _unreachable(host: str, port: int) -> str | None:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S):
            return None
    except (OSError, OverflowError) as error:
        return f"no connection ({error})"


def _mlflow_fix(uri: str, reason: str) -> str:
    if "schema" in reason or "revision" in reason:
        return f"back up the database, then run: {mlflow_command('db', 'upgrade', uri)}"
    if uri.startswith("http"):
        return "is it an MLflow server, is it up, and is the address of --tracking-uri right?"
    return "name a writable store with --tracking-uri, or move the file away"


def _ray_fix(address: str | None, error: NoAnswerError) -> str:
    text = str(error).lower()
    if "authentication" in text or "token" in text:
        return "copy the head's token, from `ray get-auth-token`, to ~/.ray/auth_token here"
    if "version mismatch" in text:
        return "install the cluster's versions of Ray and Python here"
    if address is not None:
        return (
            "give the head's port (6379 by default); RAY_AUTH_MODE and the token that "
            "`ray get-auth-token` prints must be the same here and there"
        )
    known = ("RAY_ADDRESS", "RAY_TMPDIR", "RAY_AUTH_MODE")
    named = {name: os.environ[name] for name in known if name in os.environ}
    return (
        "free some memory and space in /dev/shm and /tmp, or name another folder for Ray with "
        f"RAY_TMPDIR; then run `handssl doctor` again{f'; set here: {named}' if named else ''}"
    )
