"""Stage of Sec. 4.4: whether pretraining on the union of two datasets helps on the second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handssl.data.config import OneData, PackedData, ProceduralData


def stage(
    *,
    after: str = "compositions",
    first: OneData | None = None,
    second: OneData | None = None,
    weights: tuple[float, float] = (1.0, 1.0),
    folder: bool = False,
    compositions: Sequence[Sequence[str]] = ((),),
) -> dict[str, Any]:
    """Return the stage for a study on FreiHAND and InterHand2.6M, or on procedural hands.

    Args:
        after: The stage whose best cell it takes.
        first: Dataset with the labels; default: FreiHAND.
        second: The other dataset; default: InterHand2.6M, or the level `hard` if `first` is
            procedural.
        weights: Weights of both in the union; equal ones are those of the published code.
        folder: Whether a packed folder of images without labels is part of the union.
        compositions: Augmentations of the supervised models.

    Example:
        >>> stage()["second"]
        {'name': 'interhand'}
    """
    own = first or PackedData(name="freihand")
    procedural = isinstance(own, ProceduralData)
    other = second or (_hard(own) if procedural else PackedData(name="interhand"))
    return {
        "kind": "cross_dataset",
        "after": after,
        "first": own.model_dump(exclude_defaults=procedural, exclude_none=True),
        "second": other.model_dump(exclude_defaults=procedural, exclude_none=True),
        "weights": weights,
        "more": [{"data": {"name": "folder"}}] if folder else [],
        "supervised": [list(names) for names in compositions],
    }


def _hard(data: OneData) -> ProceduralData:
    assert isinstance(data, ProceduralData)  # noqa: S101  checked by the caller
    return data.model_copy(update={"level": "hard", "seed": data.seed + 1})
