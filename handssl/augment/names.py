"""Names of transformations, and how a composition is written.

The nine are known everywhere. One of a user's own is known to the configuration that names its
import path, and to what is read together with it; what is read alone takes any word in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from handssl.errors import InputError

Transformation = Literal[
    "blur",
    "color_drop",
    "color_jitter",
    "cutout",
    "noise",
    "rotate",
    "scale",
    "sobel",
    "translate",
]
TRANSFORMATIONS: tuple[Transformation, ...] = get_args(Transformation)
# What the paper compares; the published version of it added color_drop and scale.
PAPER_SEVEN: tuple[Transformation, ...] = tuple(
    name for name in TRANSFORMATIONS if name not in ("color_drop", "scale")
)
FLIPS = ("flip", "hflip", "horizontal_flip", "mirror", "vertical_flip", "vflip")


def _no_flip(name: object) -> object:
    if name in FLIPS:
        raise ValueError(
            f"{name} is no transformation of hands, which are chiral: the mirror image of a right "
            f"hand is a left hand, so its handedness and the x axis of its pose would be wrong; "
            f"leave it out"
        )
    return name


def refuse_flips(composition: Iterable[str]) -> None:
    """Explain why a composition cannot name a flip, wherever it does not pass a configuration.

    Raises:
        InputError: A name means a mirrored image.

    Example:
        >>> refuse_flips(("rotate", "translate"))
    """
    for name in composition:
        try:
            _no_flip(name)
        except ValueError as error:
            raise InputError(f"composition: {error}.") from None


OWN_NAME = r"^[a-z][a-z0-9_]{0,39}$"
# Names of own transformations that a configuration under validation has read so far.
_READ: ContextVar[list[frozenset[str]] | None] = ContextVar("own_names", default=None)


@contextmanager
def names_in_scope() -> Iterator[None]:
    """Validate a configuration whose compositions may name its own transformations alone.

    One within another reads for both: the cells of a study name what its pretraining lists.
    """
    outer = _READ.get()
    token = _READ.set([] if outer is None else outer)
    try:
        yield
    finally:
        _READ.reset(token)


def add_names(names: Iterable[str]) -> None:
    """Tell the configuration under validation what its own transformations are called."""
    read = _READ.get()
    if read is not None:
        read.append(frozenset(names))


def _known(name: object) -> object:
    """Return a name that can stand in a composition.

    Without a scope, or where its own transformations have a mistake, any word may be one of them.
    """
    _no_flip(name)
    read = _READ.get()
    if name in TRANSFORMATIONS or (read and name in frozenset().union(*read)):
        return name
    if not read and isinstance(name, str) and re.match(OWN_NAME, name):
        return name
    expected = ", ".join([*TRANSFORMATIONS, *sorted(frozenset().union(*read or ()))])
    raise PydanticKnownError("literal_error", {"expected": expected})


# A composition as configurations take it: known names, and a reason where a flip is asked for.
Composition = tuple[
    Annotated[
        str, BeforeValidator(_known), WithJsonSchema({"type": "string", "pattern": OWN_NAME})
    ],
    ...,
]


def composition_name(transformations: Iterable[str]) -> str:
    """Write a composition in canonical (alphabetical) order; the empty one is `none`.

    Example:
        >>> composition_name({"translate", "rotate"})
        'rotate+translate'
        >>> composition_name(())
        'none'
    """
    return "+".join(sorted(set(transformations))) or "none"
