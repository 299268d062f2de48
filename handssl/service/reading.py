"""Requests that submit a study: JSON, or the YAML of the study itself, as `curl` sends a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml
from fastapi import Request
from yaml.events import AliasEvent

from handssl.errors import InputError
from handssl.service.job import JobRequest

_DEEPEST = 40
_NUMBERS = ("priority", "retries", "time_limit_s", "gpu_hours")


async def read_request(request: Request) -> JobRequest:
    """Return what a request asks for.

    Raises:
        InputError: It cannot be read, or has mistakes; all are listed.
    """
    body, kind = await request.body(), request.headers.get("content-type", "")
    if "yaml" in kind:
        values: Any = _options(request.query_params) | {"study": study_of_yaml(body)}
    else:
        values = _json(body)
    require_shallow(values)
    return JobRequest.parse(values, where="the request")


def study_of_yaml(body: bytes) -> Any:
    """Return the values of a YAML text; without aliases, with which a few lines become gigabytes.

    Raises:
        InputError: It is no YAML, or has aliases.
    """
    try:
        text = body.decode()
        if any(isinstance(event, AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise InputError("study: expected YAML without aliases (*name)")
        return yaml.safe_load(text)
    except (UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"study: expected YAML, it cannot be read: {reason}") from None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_no_number)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"the request: expected JSON, it cannot be read: {error}") from None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _options(query: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in query.items():
        try:
            found[name] = json.loads(text) if name in (*_NUMBERS, "again") else text
        except (ValueError, RecursionError):
            found[name] = text
    return found


def require_shallow(value: Any, depth: int = 0) -> None:
    """Refuse values that are nested deeper than any study.

    Raises:
        InputError: They are.
    """
    if depth > _DEEPEST:
        raise InputError(f"the request: expected at most {_DEEPEST} levels of nesting")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        require_shallow(one, depth + 1)
