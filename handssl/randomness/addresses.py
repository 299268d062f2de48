"""Random keys and numpy generators, without torch."""

from __future__ import annotations

import hashlib
import operator

import numpy as np

from handssl.errors import InputError


def derive_key(*parts: str | int) -> int:
    """Hash the address of a draw to a 64-bit key.

    Args:
        parts: Strings and integers, e.g. `("theta", seed, epoch, view, "rotate")`. Equal integers
            of Python, numpy and torch give one key. Boundaries, and whether a part is a text,
            matter: `("a", 1)`, `("a1",)` and `("a", "1")` are three keys.

    Returns:
        An integer in [0, 2^64).

    Raises:
        InputError: A part is neither a string nor an integer.

    Example:
        >>> derive_key("theta", 1, "rotate") == derive_key("theta", 1, "rotate")
        True
        >>> derive_key("a", 1) == derive_key("a", "1")
        False
    """
    text = "\x1f".join(map(_part, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _part(part: str | int) -> str:
    """Return the text of a part, which does not depend on the library its type is from."""
    if isinstance(part, str):
        return f"str:{part}"
    try:
        return f"int:{operator.index(part)}"
    except TypeError:
        raise InputError(
            f"seed or address of a draw: expected strings and integers, got {part!r} of type "
            f"{type(part).__name__}; convert it, e.g. int({part!r})"
        ) from None


def numpy_generator(*parts: str | int) -> np.random.Generator:
    """Return a numpy generator for one address; for scalars and host-side work.

    Args:
        parts: Address, see `derive_key`.

    Returns:
        A fresh Philox generator; the same parts always give the same stream.

    Example:
        >>> float(numpy_generator("subject", 3).random()) == float(
        ...     numpy_generator("subject", 3).random()
        ... )
        True
    """
    return np.random.Generator(np.random.Philox(key=derive_key(*parts)))


def permutation(count: int, *parts: str | int) -> np.ndarray:
    """Return a random permutation of `count` items for one address, int64 (count,)."""
    return numpy_generator(*parts).permutation(count)
