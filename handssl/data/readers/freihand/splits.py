"""Splits of the official FreiHAND training ids; all versions of an id stay together."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from handssl.config import nearest
from handssl.data.sample import Rows, Split
from handssl.errors import InputError

SplitRule = Literal["blocks", "published_90_10"]

UNIQUE = 32_560
_TEST_IDS = 3_256
_BLOCK_IDS = 100

RULES: dict[SplitRule, str] = {
    "blocks": (
        "by unique id with all its versions: the last 3,256 ids are test, of the rest every tenth "
        "block of 100 contiguous ids is select; pretrain lists the images of probe"
    ),
    "published_90_10": (
        "by unique id with all its versions: 3,256 ids drawn singly, as in the published code, are "
        "test, so that recordings lie on both sides; of the rest every tenth block of 100 ids is "
        "select; pretrain lists the images of probe"
    ),
}


def official_split(rule: SplitRule) -> dict[Split, Rows]:
    """Return the unique ids of every split of the official training set.

    Args:
        rule: `blocks` or `published_90_10`.

    Returns:
        Ascending unique ids; `pretrain` and `probe` are equal.

    Raises:
        InputError: The rule is unknown.

    Example:
        >>> {split: len(ids) for split, ids in official_split("blocks").items()}
        {'pretrain': 26404, 'probe': 26404, 'select': 2900, 'test': 3256}
    """
    if rule not in get_args(SplitRule):
        raise InputError(f"freihand: unknown rule {rule!r}{nearest(rule, RULES)}")
    ids = np.arange(UNIQUE)
    if rule == "blocks":
        test = ids[-_TEST_IDS:]
    else:
        test = np.sort(np.random.RandomState(5).permutation(UNIQUE)[:_TEST_IDS])
    rest = np.setdiff1d(ids, test)
    block = np.arange(len(rest)) // _BLOCK_IDS
    select, probe = rest[block % 10 == 9], rest[block % 10 != 9]
    return {"pretrain": probe, "probe": probe, "select": select, "test": test}
