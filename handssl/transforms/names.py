"""Names of transformations and of compositions.

The nine built-in names are known everywhere. The name of a custom transformation is known to the
configuration that gives its import path, and to whatever is read together with it; a composition
read alone accepts any valid name.
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
# Transformations compared in the paper; its published version added color_drop and scale.
PAPER_SEVEN: tuple[Transformation, ...] = tuple(
    name for name in TRANSFORMATIONS if name not in ("color_drop", "scale")
)
FLIPS = ("flip", "hflip", "horizontal_flip", "mirror", "vertical_flip", "vflip")


def _no_flip(name: object) -> object:
    if name in FLIPS:
        raise ValueError(
            f"{name} is no valid transformation of hands, which are chiral: the mirror image of a "
            f"right hand is a left hand, so its handedness and the x axis of its pose would be "
            f"wrong; leave it out"
        )
    return name


def refuse_flips(composition: Iterable[str]) -> None:
    """Reject flips in a composition that was not validated by a configuration.

    Raises:
        InputError: A name stands for a mirrored image.

    Example:
        >>> refuse_flips(("rotate", "translate"))
    """
    for name in composition:
        try:
            _no_flip(name)
        except ValueError as error:
            raise InputError(f"composition: {error}.") from None


OWN_NAME = r"^[a-z][a-z0-9_]{0,39}$"
# Names of custom transformations that a configuration under validation has read so far.
_READ: ContextVar[list[frozenset[str]] | None] = ContextVar("own_names", default=None)


@contextmanager
def names_in_scope() -> Iterator[None]:
    """Validate a configuration whose compositions may only name its own custom transformations.

    Nested scopes share names: the cells of a study may name what its pretraining lists.
    """
    outer = _READ.get()
    token = _READ.set([] if outer is None else outer)
    try:
        yield
    finally:
        _READ.reset(token)


def add_names(names: Iterable[str]) -> None:
    """Register the names of custom transformations of the configuration under validation."""
    read = _READ.get()
    if read is not None:
        read.append(frozenset(names))


def _known(name: object) -> object:
    """Return a name that is valid in a composition.

    Without a scope, or if its custom transformations are invalid, any valid name is accepted.
    """
    _no_flip(name)
    read = _READ.get()
    if name in TRANSFORMATIONS or (read and name in frozenset().union(*read)):
        return name
    if not read and isinstance(name, str) and re.match(OWN_NAME, name):
        return name
    expected = ", ".join([*TRANSFORMATIONS, *sorted(frozenset().union(*read or ()))])
    raise PydanticKnownError("literal_error", {"expected": expected})


# Type of compositions in configurations: known names only, with an explanation for flips.
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
