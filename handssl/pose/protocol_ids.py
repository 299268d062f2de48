"""Ids of protocols with the suffix of the crop boxes, which say what numbers may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from handssl.pose.crop_rules import BoxSource
from handssl.pose.protocols import PRIMARY_PROTOCOL

BOX_SUFFIXES: dict[BoxSource, str] = {"published": "_boxpub", "extent": "", "detector": "_boxdet"}
"""Suffix of an id by the source of the boxes; `extent` has none, as there was no other at first."""


def primary_protocol(boxes: BoxSource) -> str:
    """Return the id of the protocol that trials are compared by, on crops of some boxes.

    Errors under different ids are of different images and must not be compared.

    Example:
        >>> primary_protocol("published"), primary_protocol("extent")
        ('root_gtroot_20_boxpub', 'root_gtroot_20')
    """
    return PRIMARY_PROTOCOL + BOX_SUFFIXES[boxes]


def protocols_of(tags: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the ids of the primary protocol of trials, from their tags; more than one: beware.

    Example:
        >>> protocols_of([{"protocol": "root_gtroot_20_boxpub"}, {}])
        ('root_gtroot_20', 'root_gtroot_20_boxpub')
    """
    # Trials of early versions lack the tag; their boxes were those of the joints' extent.
    return tuple(sorted({one.get("protocol", PRIMARY_PROTOCOL) for one in tags}))


def protocol_words(protocols: Sequence[str]) -> str:
    """Return the ids for a page, with a warning if there is more than one.

    Example:
        >>> protocol_words(["root_gtroot_20"])
        'root_gtroot_20'
    """
    named = ", ".join(protocols)
    if len(protocols) < 2:
        return named
    return f"{named}: errors under different protocols are of different crops, do not compare them"
