"""Cheap fields of normal numbers for whole images, equal on the host and on any device.

Each 64-bit word of Philox-4x64-10 gives four numbers: a 16-bit piece chooses a quantile of the
normal distribution. numpy has this generator compiled; the tensor form here yields the same words.

Reference: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011 (Philox-4x64 with ten rounds).
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import torch

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_LOW = 0xFFFFFFFF
_WORD = (1 << 64) - 1
_PIECES = 1 << 16


@lru_cache(maxsize=1)
def quantiles() -> np.ndarray:
    """Return 65,536 equally likely values of unit variance, ascending, float32.

    Example:
        >>> table = quantiles()
        >>> bool((table == -table[::-1]).all()), round(float(table.max()), 2)
        (True, 4.32)
    """
    normal = NormalDist()
    upper = [normal.inv_cdf((n + 0.5) / _PIECES) for n in range(_PIECES // 2, _PIECES)]
    half = np.array(upper)
    half /= math.sqrt(np.mean(half**2))
    return np.concatenate((-half[::-1], half)).astype(np.float32)


def normal_field(sample_id: int, count: int, key: int) -> np.ndarray:
    """Draw standard normal numbers for one sample, on the host.

    Args:
        sample_id: Sample id in [0, 2^63).
        count: Number of values.
        key: Key from `derive_key`.

    Returns:
        float32 (count,), equal to the sample's row of `normal_fields`.
    """
    # A numpy integer has 64 bits: shifted by 64 it would be 0 for every sample.
    words = np.random.Philox(key=key, counter=operator.index(sample_id) << 64).random_raw(
        math.ceil(count / 4)
    )
    # 16 bits cannot exceed the table; `clip` avoids numpy's bounds check.
    return quantiles().take(words.view(np.uint16)[:count], mode="clip")


def normal_fields(ids: torch.Tensor, count: int, key: int) -> torch.Tensor:
    """Draw standard normal numbers for each sample, on the device of `ids`.

    Args:
        ids: Integers (B,), sample ids in [0, 2^63); a row depends only on its id.
        count: Number of values per sample.
        key: Key from `derive_key`.

    Returns:
        float32 (B, count).

    Example:
        >>> both = normal_fields(torch.tensor([7, 9]), 30, key=1)
        >>> bool((both[1].numpy() == normal_field(9, 30, key=1)).all())
        True
    """
    # numpy's generator increments its counter before the first block.
    blocks = torch.arange(1, math.ceil(count / 16) + 1, device=ids.device)
    rows = ids.to(torch.int64)[:, None].expand(-1, len(blocks))
    words = _philox_4x64(blocks.expand(len(ids), -1), rows, operator.index(key))
    pieces = words.flatten(1).view(torch.int16)[:, :count].to(torch.int32) & (_PIECES - 1)
    return _table(ids.device).index_select(0, pieces.flatten()).reshape(len(ids), count)


@lru_cache(maxsize=16)
def _table(device: torch.device) -> torch.Tensor:
    """Return the quantiles, cached per device: a copy for every batch would wait for the device."""
    return torch.from_numpy(quantiles()).to(device)


def _philox_4x64(first: torch.Tensor, second: torch.Tensor, key: int) -> torch.Tensor:
    """Return four random words, int64 (..., 4), for each counter (first, second, 0, 0)."""
    a, b = first, second
    c = d = torch.zeros_like(first)
    keys = (key & _WORD, key >> 64)
    for _ in range(_ROUNDS):
        (high_a, low_a), (high_c, low_c) = (
            _product(word, factor) for word, factor in zip((a, c), _MULTIPLIERS, strict=True)
        )
        a, b, c, d = high_c ^ b ^ _signed(keys[0]), low_c, high_a ^ d ^ _signed(keys[1]), low_a
        keys = ((keys[0] + _WEYL[0]) & _WORD, (keys[1] + _WEYL[1]) & _WORD)
    return torch.stack((a, b, c, d), dim=-1)


def _product(word: torch.Tensor, factor: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the (high, low) 64 bits of the unsigned product, all words stored as int64."""
    word_high, word_low = (word >> 32) & _LOW, word & _LOW
    factor_high, factor_low = factor >> 32, factor & _LOW
    # Products of 32-bit halves wrap as two's complement; masking after the shift recovers them.
    middle = word_high * factor_low + (((word_low * factor_low) >> 32) & _LOW)
    other = word_low * factor_high + (middle & _LOW)
    high = word_high * factor_high + ((middle >> 32) & _LOW) + ((other >> 32) & _LOW)
    return high, word * _signed(factor)


def _signed(word: int) -> int:
    """Return the int64 with the same 64 bits."""
    return word - (1 << 64) if word >> 63 else word
