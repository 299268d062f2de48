"""Strict configuration: frozen pydantic models whose mistakes are all reported at once.

Every mistake comes with its dotted path, the value received, the rule it broke and, for a name,
the nearest valid one. A configuration is data, never code.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Tag, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from handssl.errors import InputError
from handssl.runtime.secrets import has_secret, masked, require_no_secret
from handssl.runtime.yaml_text import load_yaml


class Config(BaseModel):
    """Base of every configuration: immutable, unknown keys refused, no silent conversions.

    Example:
        >>> class Crop(Config):
        ...     side_px: int = 64
        >>> Crop.parse({"side_px": 32}).side_px
        32
        >>> Crop.parse({"side": 32})
        Traceback (most recent call last):
            ...
        handssl.errors.InputError: 1 mistake in Crop:
          side: unknown key (got 32); did you mean 'side_px'?
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @classmethod
    def parse(cls, values: Any, *, where: str | None = None) -> Self:
        """Validate plain values (from YAML, JSON or Python) into this configuration.

        Args:
            values: A mapping of the fields.
            where: Name of the source in the message, e.g. a file name; default: the class name.

        Returns:
            The validated, immutable configuration.

        Raises:
            InputError: The values have mistakes, all listed in one message, or a text holds a
                password.
        """
        for path, text in _texts(values):
            if has_secret(text):
                require_no_secret(f"{where or cls.__name__}: {path}", text)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(explain(error, cls, where or cls.__name__)) from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a YAML file into this configuration.

        Args:
            path: The file.

        Returns:
            The validated configuration.

        Raises:
            InputError: The file is missing, is not YAML, or has mistakes; all are listed.
        """
        return cls.parse(read_yaml(path), where=str(path))

    def merged(self, changes: dict[str, Any]) -> Self:
        """Return a copy with dotted keys replaced, validated again as a whole.

        Args:
            changes: Dotted path to new value, e.g. `{"encoder.width": 16}`.

        Raises:
            InputError: A path or a value is not valid; all mistakes are listed.

        Example:
            >>> class Crop(Config):
            ...     side_px: int = 64
            >>> Crop().merged({"side_px": 32}).side_px
            32
        """
        values = self.model_dump(mode="json")
        for dotted, value in changes.items():
            *parents, leaf = dotted.split(".")
            node = values
            for name in parents:
                child = node.setdefault(name, {})
                if not isinstance(child, dict):
                    raise InputError(f"{dotted}: {name!r} is a single value and has no keys")
                node = child
            node[leaf] = value
        return self.parse(values)


def read_yaml(path: Path) -> Any:
    """Read one YAML document as plain data.

    Raises:
        InputError: The file cannot be read, is not YAML, or has a key twice.
    """
    try:
        return load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # also raised for a file that is not UTF-8
        raise InputError(f"{path}: not valid YAML: {error}") from None


def nearest(name: str, valid: typing.Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest valid name, or the list of valid ones.

    Example:
        >>> nearest("rotat", ["rotate", "blur"])
        "; did you mean 'rotate'?"
        >>> nearest("zzz", ["rotate", "blur"])
        '; valid: rotate, blur'
    """
    names = [str(n) for n in valid]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; valid: {', '.join(names)}"


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Rewrite a pydantic error as text: one line per mistake, with path, value and rule."""
    lines = [masked(f"  {_explain_one(item, model)}") for item in error.errors()]
    count = f"{len(lines)} mistake{'s' if len(lines) > 1 else ''}"
    return "\n".join([f"{count} in {where}:", *lines])


_TOLD = "mistake"


def mistake(location: tuple[int | str, ...], rule: str) -> InitErrorDetails:
    """Return a mistake found by a rule over several fields, for a ValidationError.

    Args:
        location: Path as written in YAML.
        rule: What was expected and what came, in words.
    """
    return InitErrorDetails(type=PydanticCustomError(_TOLD, rule), loc=location, input=None)


def _explain_one(item: ErrorDetails, model: type[BaseModel]) -> str:
    location, _ = _walk(model, item["loc"])
    path = ".".join(map(str, location)) or "(top level)"
    if item["type"] == _TOLD:
        return f"{path}: {item['msg']}"
    got = _shorten(item["input"])
    if item["type"] == "extra_forbidden":
        _, owner = _walk(model, item["loc"][:-1])
        valid = owner.model_fields if _is_model(owner) else ()
        return f"{path}: unknown key (got {got}){nearest(str(location[-1]), valid)}"
    if item["type"] in ("model_type", "dict_type"):
        return f"{path}: expected keys with values (got {got})"
    if item["type"] == "missing":
        return f"{path}: required, but missing"
    if item["type"] == "literal_error":
        expected = item["ctx"]["expected"]
        names = [name.strip("' ") for name in expected.replace(" or ", ", ").split(",")]
        return f"{path}: unknown name {got}{nearest(str(item['input']), names)}"
    rule = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{path}: {rule} (got {got})"


def _texts(value: Any, path: str = "") -> typing.Iterator[tuple[str, str]]:
    """Yield the texts of plain values, each with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _texts(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _texts(one, f"{path}.{number}")


def _shorten(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _walk(model: Any, location: tuple[int | str, ...]) -> tuple[list[int | str], Any]:
    """Follow a pydantic location; return the path as written in YAML, and the model it ends in."""
    path: list[int | str] = []
    for part in location:
        if isinstance(model, dict):  # pydantic adds which member of a union it tried
            model = model.get(part)
            continue
        path.append(part)
        if isinstance(part, str) and _is_model(model) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            model = _tagged(annotation) or _unwrap(annotation)
    return path, model


def _tagged(annotation: Any) -> dict[str, Any]:
    """Return the members of a union by their tags; none if it has no tags."""
    members = typing.get_args(annotation)
    tags = {tag.tag: m for m in members for tag in typing.get_args(m)[1:] if isinstance(tag, Tag)}
    return {name: _unwrap(typing.get_args(member)[0]) for name, member in tags.items()}


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _unwrap(annotation: Any) -> Any:
    """Return the model class inside `X | None`, `tuple[X, ...]` or `dict[str, X]`, else as is."""
    if _is_model(annotation):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, tuple, list, dict):
        return next((m for m in map(_unwrap, typing.get_args(annotation)) if _is_model(m)), None)
    return annotation
