"""YAML as unambiguous data: no Python tags, and no key twice in a mapping."""

from __future__ import annotations

from typing import Any

import yaml


class _Once:
    """Mixin that rejects duplicate keys, of which PyYAML silently keeps the last."""

    def construct_document(self, node: yaml.Node) -> Any:
        # Checked before construction: merged keys (<<) may legitimately occur twice.
        _require_each_key_once(node)
        return super().construct_document(node)  # type: ignore[misc]  # of the other base class


class _Loader(_Once, yaml.SafeLoader):
    """Loader in Python, which raises an exception on unbounded nesting."""


class _FastLoader(_Once, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Loader in C if PyYAML was built with it: several times as fast, deep nesting crashes it."""


def load_yaml(text: str, *, is_shallow: bool = False) -> Any:
    r"""Read one YAML document.

    Args:
        text: Text of the document.
        is_shallow: Whether its nesting was already checked, so that the fast loader can be used.

    Raises:
        ValueError: It is not YAML, or has a key twice; the message is one line.

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
        if id(node) in seen:  # an alias of a node that was already checked
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
    """Return in one line why a text could not be read, and where in it."""
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        problem = ", ".join(filter(None, (error.context, error.problem)))
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return " ".join(str(error).split()) or type(error).__name__
