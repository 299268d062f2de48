"""Counter-based random tensors on any device.

Reference: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011 (Philox-4x32 with ten rounds).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import torch

from handssl.randomness.addresses import derive_key

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_MASK = 0xFFFFFFFF


def torch_generator(*parts: str | int) -> torch.Generator:
    """Return a CPU torch generator for one address; for initial weights."""
    return torch.Generator().manual_seed(derive_key(*parts) >> 1)


def philox(counter: torch.Tensor, key: int) -> torch.Tensor:
    """Apply Philox-4x32-10 to counters under one key.

    Args:
        counter: int64 (..., 4), each entry a 32-bit word.
        key: 64-bit key; the low word comes first.

    Returns:
        int64 (..., 4), four random 32-bit words for each counter.

    Example:
        >>> [hex(int(w)) for w in philox(torch.zeros(4, dtype=torch.int64), 0)]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    return _philox(counter, operator.index(key) & _MASK, operator.index(key) >> 32)


def _philox(
    counter: torch.Tensor, low: int | torch.Tensor, high: int | torch.Tensor
) -> torch.Tensor:
    """Apply Philox-4x32-10 under the keys (low, high), which broadcast against the counters."""
    a, b, c, d = counter.unbind(-1)
    for _ in range(_ROUNDS):
        # A 64-bit product wraps as two's complement; masking after the shift recovers its words.
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            ((second >> 32) & _MASK) ^ b ^ low,
            second & _MASK,
            ((first >> 32) & _MASK) ^ d ^ high,
            first & _MASK,
        )
        low, high = (low + _WEYL[0]) & _MASK, (high + _WEYL[1]) & _MASK
    return torch.stack((a, b, c, d), dim=-1)


def uniforms(ids: torch.Tensor, count: int, key: int) -> torch.Tensor:
    """Draw uniform numbers for each sample.

    Args:
        ids: Integers (B,), sample ids in [0, 2^63); a row depends only on its id.
        count: Number of values per sample.
        key: Key from `derive_key`.

    Returns:
        float32 (B, count) in [0, 1), on the device of `ids`.

    Example:
        >>> both = uniforms(torch.tensor([7, 9]), 3, key=1)
        >>> bool((uniforms(torch.tensor([9]), 3, key=1) == both[1:]).all())
        True
    """
    return uniform_sets(ids, count, (key,))[0]


def uniform_sets(ids: torch.Tensor, count: int, keys: Sequence[int]) -> torch.Tensor:
    """Draw uniform numbers for each sample under each of several keys, all in one pass.

    Args:
        ids: Integers (B,), sample ids in [0, 2^63).
        count: Number of values per sample and key.
        keys: K keys from `derive_key`.

    Returns:
        float32 (K, B, count) in [0, 1); entry i is `uniforms(ids, count, keys[i])`.

    Example:
        >>> ids = torch.tensor([7, 9])
        >>> sets = uniform_sets(ids, 3, [1, 2])
        >>> bool((sets[1] == uniforms(ids, 3, key=2)).all())
        True
    """
    blocks = torch.arange(math.ceil(count / 4), device=ids.device)
    rows = ids.to(torch.int64)[:, None].expand(len(keys), -1, len(blocks))
    low, high = rows & _MASK, (rows >> 32) & _MASK
    counter = torch.stack((low, high, blocks.expand_as(low), torch.zeros_like(low)), dim=-1)
    words = _philox(counter, *_key_words(keys, ids.device)).flatten(2)[..., :count]
    return (words >> 8).to(torch.float32) * 2.0**-24


def _key_words(keys: Sequence[int], device: torch.device) -> torch.Tensor:
    """Return low and high words, int64 (2, K, 1, 1), without making the host wait for a GPU."""
    whole = [operator.index(key) for key in keys]
    words = ([key & _MASK for key in whole], [key >> 32 for key in whole])
    return torch.tensor(words).to(device, non_blocking=True)[:, :, None, None]


def normals(ids: torch.Tensor, count: int, key: int) -> torch.Tensor:
    """Draw standard normal numbers for each sample (Box-Muller).

    Args:
        ids: Integers (B,), sample ids.
        count: Number of values per sample.
        key: Key from `derive_key`.

    Returns:
        float32 (B, count), on the device of `ids`.
    """
    half = math.ceil(count / 2)
    draws = uniforms(ids, 2 * half, key)
    radius = torch.sqrt(-2.0 * torch.log1p(-draws[:, :half]))
    angle = (2.0 * math.pi) * draws[:, half:]
    return torch.cat((radius * torch.cos(angle), radius * torch.sin(angle)), dim=1)[:, :count]
