"""Stage of Sec. 4.4: transfer of pretraining on more unlabelled hands to another dataset."""

from __future__ import annotations

from typing import Any

# FreiHAND has 130,240 images, InterHand2.6M's single hands 688,000: the same number of updates in
# fewer passes, as in the published code.
EPOCHS_INTERHAND = 35


def stage(
    *, after: str = "compositions", epochs_interhand: int = EPOCHS_INTERHAND
) -> dict[str, Any]:
    """Return the stage for a study on FreiHAND: pretrained on InterHand2.6M, probed on both.

    Args:
        after: The stage whose best cell it takes.
        epochs_interhand: Passes over InterHand2.6M.

    Example:
        >>> [one["data"]["name"] for one in stage()["sets"]]
        ['freihand', 'interhand']
    """
    fewer = {"epochs": epochs_interhand}
    return {
        "kind": "cross_dataset",
        "after": after,
        "sets": [
            {"data": {"name": "freihand", "pretrain": {"name": "interhand"}}, "settings": fewer},
            {"data": {"name": "interhand"}, "settings": fewer},
        ],
    }
