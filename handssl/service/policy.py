"""What a submitted study may name: no file outside of configured folders, no code of others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handssl.errors import InputError

_IMPORT_PATH = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


@dataclass(frozen=True)
class Policy:
    """What operators allow.

    Attributes:
        roots: Folders that paths in studies must lie in.
        modules: Packages whose encoders and transformations may be named by import path.

    Example:
        >>> Policy(modules=("lab",)).allows_module("lab.nets:small")
        True
        >>> Policy(modules=("lab",)).allows_module("labour:strike")
        False
    """

    roots: tuple[Path, ...] = ()
    modules: tuple[str, ...] = ()

    def require(self, study: Mapping[str, Any]) -> None:
        """Refuse a study that names what is not allowed.

        To be asked before the study is read: reading one that names code imports it.

        Args:
            study: As it came.

        Raises:
            InputError: All such places are listed.
        """
        mistakes = []
        for where, text in _texts(study):
            if _IMPORT_PATH.match(text) and not self.allows_module(text):
                allowed = ", ".join(self.modules) or "none"
                mistakes.append(
                    f"{where}: expected code of a package that this service allows ({allowed}; "
                    f"`handssl serve --allow-code PACKAGE`), got {text!r}"
                )
            elif _is_path(text) and not self.allows_path(text):
                folders = ", ".join(map(str, self.roots)) or "none"
                mistakes.append(
                    f"{where}: expected a file below a folder that this service allows "
                    f"({folders}; `handssl serve --root DIR`), got {text!r}"
                )
        if mistakes:
            raise InputError("\n".join(["the study names what it may not:", *mistakes]))

    def allows_module(self, text: str) -> bool:
        """Say whether an import path lies in an allowed package."""
        module = text.partition(":")[0]
        return any(module == one or module.startswith(one + ".") for one in self.modules)

    def allows_path(self, text: str) -> bool:
        """Say whether a path lies in an allowed folder, links followed."""
        if "\0" in text or "://" in text or not text.startswith("/"):
            return False
        found = Path(text).resolve()
        return any(found.is_relative_to(root.resolve()) for root in self.roots)


def _is_path(text: str) -> bool:
    return any(sign in text for sign in ("/", "\\", "\0")) or text.startswith(("~", "."))


def _texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts(one, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _texts(one, f"{where}.{number}")
