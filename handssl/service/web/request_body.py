"""Parsing of requests that submit a study: JSON, or the YAML file of the study itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from fastapi import Depends, Request
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from handssl.errors import InputError
from handssl.runtime.yaml_text import load_yaml, reason_of
from handssl.service.errors import TooLargeError
from handssl.service.queue.job import JobRequest
from handssl.service.queue.plain_data import DEEPEST, require_plain
from handssl.service.web.middleware import MOST_YAML_BYTES

_NUMBERS = ("priority", "retries", "time_limit_s", "gpu_hours")
_LONGEST = 10_000
# The loader in C, if PyYAML was built with it, is several times as fast; both give the same.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


async def _read(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_read)]


def parse_request(request: Request, body: bytes) -> JobRequest:
    """Return the job request in an HTTP request.

    It takes time, so do not call it in the event loop.

    Args:
        request: The HTTP request, for its headers and query.
        body: Its raw body.

    Raises:
        InputError: It cannot be read, or has mistakes; all are listed.
    """
    if "yaml" in request.headers.get("content-type", "").lower():
        values: Any = _options(request.query_params) | {"study": study_of_yaml(body)}
    else:
        _require_no_options(request.query_params)
        values = _json(body)
    require_plain(values)
    return JobRequest.parse(values, where="the request")


def study_of_yaml(body: bytes) -> Any:
    """Return the values of a YAML text.

    Raises:
        InputError: It is not YAML, is nested too deep, or has aliases, tags or a key twice.
        TooLargeError: It is larger than any study.
    """
    if len(body) > MOST_YAML_BYTES:
        raise TooLargeError(
            f"study: expected at most {MOST_YAML_BYTES:,} bytes of YAML; send larger ones as JSON"
        )
    try:
        text = body.decode()
        _require_simple(text)
        return load_yaml(text, is_shallow=True)
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise InputError(f"study: expected YAML, it cannot be read: {reason_of(error)}") from None


def _require_simple(text: str) -> None:
    """Refuse dangerous YAML, event by event, before the loader reads it.

    With aliases a few lines become gigabytes; a long scalar such as 1:1:1... is a number that takes
    minutes; tags name types that no study has; unbounded nesting overflows the stack of the loader
    in C, which ends the process.
    """
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            _refuse(event, f"expected at most {DEEPEST} levels of nesting")
        if isinstance(event, AliasEvent):
            _refuse(event, f"expected YAML without aliases, got *{event.anchor}")
        if isinstance(event, ScalarEvent) and event.implicit[0] and len(event.value) > _LONGEST:
            _refuse(event, f"expected quotes around more than {_LONGEST:,} characters")
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
            _refuse(event, f"expected YAML without tags, got {event.tag}")


def _refuse(event: Any, problem: str) -> None:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_no_number, object_pairs_hook=_once)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the request: expected JSON, it cannot be read: {error}; "
            "send a study in YAML with `Content-Type: application/yaml`"
        ) from None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"expected each key once, got {name} again")
        found[name] = value
    return found


def _require_no_options(query: Mapping[str, str]) -> None:
    if query:
        raise InputError(
            f"the request: expected options next to `study` in the JSON, got {', '.join(query)} "
            "in the query, which is for YAML"
        )


def _options(query: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in query.items():
        try:
            found[name] = json.loads(text) if name in (*_NUMBERS, "again") else text
        except (ValueError, RecursionError):
            found[name] = text
    return found
