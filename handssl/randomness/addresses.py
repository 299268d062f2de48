"""Random keys and numpy generators, without torch."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_key(*parts: str | int) -> int:
    """Hash the address of a draw to a 64-bit key.

    Args:
        parts: Strings and integers, e.g. `("theta", seed, epoch, view, "rotate")`. Types and
            boundaries matter: `("a", 1)`, `("a1",)` and `("a", "1")` are three keys.

    Returns:
        An integer in [0, 2^64).

    Example:
        >>> derive_key("theta", 1, "rotate") == derive_key("theta", 1, "rotate")
        True
        >>> derive_key("a", 1) == derive_key("a", "1")
        False
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


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
