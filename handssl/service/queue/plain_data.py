"""Check that a value is plain data, i.e. has only types that JSON has."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from handssl.errors import InputError

DEEPEST = 40
MOST_TOLD = 20
_LARGEST = 2**64
_LONGEST_NAME = 60
_HALF = re.compile("[\ud800-\udfff]")  # a lone surrogate: it cannot be encoded as UTF-8


def require_plain(value: Any, where: str = "") -> None:
    """Refuse all but mappings with text keys, lists, texts, finite numbers, booleans and None.

    Call it before anything else reads a study: a validator accepts a set as a list, or bytes as a
    text, while a check that searches lists for texts would not have seen them.

    Args:
        value: The value as it was read.
        where: Its path in the request.

    Raises:
        InputError: The value is not plain; the first 20 mistakes are listed.

    Example:
        >>> require_plain({"epochs": 4, "blocks": [1, 2], "halving": None})
        >>> require_plain({"custom": {"lab:x"}}, "study")
        Traceback (most recent call last):
        handssl.errors.InputError: expected plain data:
        study.custom: expected a text, number, list or mapping, got a set
    """
    mistakes = list(islice(_mistakes(value, where), MOST_TOLD))
    if mistakes:
        raise InputError("\n".join(["expected plain data:", *mistakes]))


def walk(value: Any, where: str = "", depth: int = 0) -> Iterator[tuple[str, Any, int]]:
    """Yield a value and all nested values, each with dotted path and depth, outer ones first."""
    yield where, value, depth
    for name, one in _inner(value):
        yield from walk(one, f"{where}.{name}" if where else name, depth + 1)


def _inner(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((_name(key), one) for key, one in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(number), one) for number, one in enumerate(value))


def _mistakes(value: Any, where: str) -> Iterator[str]:
    for place, one, depth in walk(value, where):
        place = place or "(top level)"
        if depth > DEEPEST:
            yield f"{place}: expected at most {DEEPEST} levels of nesting"
            return
        if isinstance(one, dict):
            faults = filter(None, map(_key_fault, one))
            yield from (f"{place}: expected {fault}" for fault in faults)
        elif not isinstance(one, list) and (fault := _fault(one)):
            yield f"{place}: expected {fault}"


def _key_fault(key: Any) -> str:
    return _fault(key) if isinstance(key, str) else f"a text as key, got {_kind(key)}"


def _fault(value: Any) -> str:
    """Return what was expected instead of a single value, empty if it is plain."""
    if isinstance(value, str):
        return f"characters of Unicode, got {_name(value)!a}" if _HALF.search(value) else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"a finite number, got {value}"
    if isinstance(value, int):
        return "" if abs(value) < _LARGEST else f"a number below {_LARGEST}, got a larger one"
    return "" if value is None else f"a text, number, list or mapping, got {_kind(value)}"


def _name(key: Any) -> str:
    text = key if isinstance(key, str) else _kind(key)
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "..."


def _kind(value: Any) -> str:
    return "none" if value is None else f"a {type(value).__name__}"
