"""Files and code that a submitted study may name: only configured folders and packages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from handssl.errors import InputError
from handssl.service.queue.plain_data import MOST_TOLD, walk

_IMPORT_PATH = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


@dataclass(frozen=True)
class Policy:
    """Files and code that operators allow in studies.

    Attributes:
        roots: Folders in which paths in studies must lie.
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
        """Refuse a study that names files or code that are not allowed.

        Call it before the study is parsed: parsing one that names code imports it.

        Args:
            study: The study as submitted.

        Raises:
            InputError: It names some; the first 20 mistakes are listed.
        """
        found = (self._mistake(where, value) for where, value, _ in walk(study))
        mistakes = list(islice(filter(None, found), MOST_TOLD))
        if mistakes:
            raise InputError("\n".join(["the study names what is not allowed:", *mistakes]))

    def _mistake(self, where: str, value: Any) -> str:
        """Return what is wrong with one value, empty if it is allowed."""
        if isinstance(value, Mapping | list | tuple | int | float | None):
            return ""
        if not isinstance(value, str):
            kind = type(value).__name__  # it may hold texts that were not checked
            return f"{where}: expected a text, number, list or mapping, got a {kind}"
        if _IMPORT_PATH.match(value) and not self.allows_module(value):
            allowed = ", ".join(self.modules) or "none"
            return (
                f"{where}: expected code of a package that this service allows ({allowed}; "
                f"`handssl serve --allow-code PACKAGE`), got {value!r}"
            )
        if _is_path(value) and not self.allows_path(value):
            folders = ", ".join(map(str, self.roots)) or "none"
            return (
                f"{where}: expected a file below a folder that this service allows "
                f"({folders}; `handssl serve --root DIR`), got {value!r}"
            )
        return ""

    def allows_module(self, text: str) -> bool:
        """Return whether an import path lies in an allowed package."""
        module = text.partition(":")[0]
        return any(module == one or module.startswith(one + ".") for one in self.modules)

    def allows_path(self, text: str) -> bool:
        """Return whether a path lies in an allowed folder, with links resolved."""
        if "\0" in text or "://" in text or not text.startswith("/"):
            return False
        found = Path(text).resolve()
        return any(found.is_relative_to(root.resolve()) for root in self.roots)


def _is_path(text: str) -> bool:
    return any(sign in text for sign in ("/", "\\", "\0")) or text.startswith(("~", "."))
