"""YAML as data that means one thing: no tags of Python, and no key twice in a mapping."""

from __future__ import annotations

from typing import Any

import yaml


class _Once:
    """A loader of PyYAML, which alone would take the last of several equal keys."""

    def construct_document(self, node: yaml.Node) -> Any:
        # Before anything is made of it: merged keys (<<) may well be there a second time.
        _require_each_key_once(node)
        return super().construct_document(node)  # type: ignore[misc]  # of the loader beside it


class _Loader(_Once, yaml.SafeLoader):
    """In Python, which ends a nesting without end by an exception."""


class _FastLoader(_Once, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """In C where PyYAML was built with it: several times as fast, and such a nesting ends it."""


def load_yaml(text: str, *, is_shallow: bool = False) -> Any:
    r"""Read one YAML document.

    Args:
        text: Of the document.
        is_shallow: Its nesting was looked at, so that it can be read fast.

    Raises:
        ValueError: It is none, or says something twice; the message is one line.

    Example:
        >>> load_yaml("epochs: 4")
        {'epochs': 4}
        >>> load_yaml("epochs: 4\nepochs: 8")
        Traceback (most recent call last):
            ...
        ValueError: line 2, column 1: expected each key once, got epochs again
    """
    try:
        return yaml.load(text, _FastLoader if is_shallow else _Loader)  # noqa: S506  (both are safe)
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise ValueError(reason_of(error)) from None


def _require_each_key_once(root: yaml.Node) -> None:
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias of one that was looked at
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if isinstance(node, yaml.MappingNode):
            _require_once([key for key, _ in node.value])
            waiting += [value for _, value in node.value]


def _require_once(keys: list[yaml.Node]) -> None:
    found = set[tuple[str, str]]()
    for key in keys:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in found:
                problem = f"expected each key once, got {key.value} again"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            found.add((key.tag, key.value))


def reason_of(error: Exception) -> str:
    """Return in one line why a text could not be read, with the place in it."""
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        problem = ", ".join(filter(None, (error.context, error.problem)))
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return " ".join(str(error).split()) or type(error).__name__
