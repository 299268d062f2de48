"""Draw a share of the labels of a split; smaller shares are parts of larger ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handssl.data.splits import StudyData
from handssl.data.store import PackedSplit
from handssl.errors import InputError
from handssl.randomness import permutation

_LEAST = 2


def with_share_of_labels(data: StudyData, share: float, *, seed: int) -> StudyData:
    """Return data with a share of the labels of `probe`; other splits stay as they are.

    Args:
        data: The packed splits.
        share: Share of the labels, in (0, 1].
        seed: Seed of the draw.

    Raises:
        InputError: Fewer than two completely labelled hands are left.
    """
    if share == 1:
        return data
    whole = data.store("probe")
    part = whole.part(drawn_rows(whole, share, seed=seed))
    hands = int(part.label("valid").all(axis=1).sum())
    if hands < _LEAST:
        raise InputError(
            f"labels: expected a share that leaves at least {_LEAST} completely labelled hands, "
            f"{share:g} of the {len(whole):,} images of probe leaves {hands}; use a larger share, "
            f"e.g. --labels {min(1.0, 10 / len(whole)):.1g}, or data with more labelled images"
        )
    return data.with_split(part)


def drawn_rows(split: PackedSplit, share: float, *, seed: int) -> NDArray[np.int64]:
    """Return the positions of the images whose labels are drawn, ascending.

    Labels are drawn, not images: images with the same joints, such as FreiHAND's four backgrounds
    of a hand, are drawn together. The first round(share x number of labels) of a permutation that
    depends on the seed alone are taken, so the images of a smaller share are among those of a
    larger one.

    Args:
        split: A labelled split.
        share: Share of the labels, in (0, 1].
        seed: Seed of the draw.
    """
    poses = np.ascontiguousarray(split.label("xyz")).reshape(len(split), -1)
    _, label = np.unique(poses.view(f"V{poses.strides[0]}")[:, 0], return_inverse=True)
    count = int(label.max()) + 1
    drawn = np.zeros(count, dtype=bool)
    drawn[permutation(count, "labels", seed)[: round(share * count)]] = True
    return np.flatnonzero(drawn[label])
