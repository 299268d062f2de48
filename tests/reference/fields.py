"""Philox-4x64-10 and the normal quantiles in plain Python integers."""

from __future__ import annotations

from statistics import NormalDist

_MASK = 2**64 - 1


def philox_4x64(counter, key):
    """Return four 64-bit words of one counter (four words) under one key (two words)."""
    a, b, c, d = counter
    k, l = key  # noqa: E741
    for _ in range(10):
        first, second = a * 0xD2E7470EE14C6C93, c * 0xCA5A826395121157
        a, b, c, d = (
            (second >> 64) ^ b ^ k,
            second & _MASK,
            (first >> 64) ^ d ^ l,
            first & _MASK,
        )
        k, l = (k + 0x9E3779B97F4A7C15) & _MASK, (l + 0xBB67AE8584CAA73B) & _MASK  # noqa: E741
    return a, b, c, d


def normal_field(sample_id, count, key):
    """Return `count` numbers of one sample, 16 bits of each word at a time, not yet scaled."""
    out = []
    block = 0
    while len(out) < count:
        block += 1
        for word in philox_4x64((block, sample_id, 0, 0), (key, 0)):
            for shift in (0, 16, 32, 48):
                piece = (word >> shift) & 0xFFFF
                out.append(NormalDist().inv_cdf((piece + 0.5) / 65536))
    return out[:count]
