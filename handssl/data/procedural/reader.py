"""Reader of procedural hands: every image of a spec once, rendered on access."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from handssl.data.procedural.dataset import ProceduralSpec, make_sample
from handssl.data.sample import Rows, Sample, Split


class ProceduralReader:
    """All images of a spec; a row equals its sample's id, as in the files of `write_freihand`.

    Args:
        spec: Specification of the set.

    Example:
        >>> hands = ProceduralReader(ProceduralSpec(pretrain=2, probe=1, image_px=64))
        >>> hands[1].image.shape, hands[1].xyz.shape
        ((64, 64, 3), (21, 3))
        >>> hands.splits["probe"]
        array([2])
    """

    name = "procedural"
    split_rule = "by unique id: every split has subjects, lights and backgrounds of its own"

    def __init__(self, spec: ProceduralSpec) -> None:
        self.spec, self.fingerprint = spec, spec.fingerprint
        self.splits: Mapping[Split, Rows] = {
            split: _rows(spec, split) for split in spec.splits if spec.count(split)
        }

    def __len__(self) -> int:
        return self.spec.images

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        version, unique = divmod(index, self.spec.unique) if self.spec.unique else (0, index)
        if version >= self.spec.versions:  # after all training images
            evaluated = index - self.spec.unique * self.spec.versions
            return make_sample(self.spec, "evaluation", evaluated)
        split = next(name for name in self.spec.splits if unique in self.spec.unique_ids(name))
        first = self.spec.unique_ids(split).start
        return make_sample(self.spec, split, unique - first, version)


def _rows(spec: ProceduralSpec, split: Split) -> Rows:
    ids = np.asarray(spec.unique_ids(split))
    if split == "evaluation":
        return ids + spec.unique * (spec.versions - 1)
    return np.asarray((np.arange(spec.versions)[:, None] * spec.unique + ids).ravel())
