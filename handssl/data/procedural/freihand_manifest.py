"""Manifest of a folder of procedural hands in FreiHAND's layout."""

from __future__ import annotations

from typing import Literal

from handssl.config import Config
from handssl.data.procedural.dataset import GENERATOR_VERSION, ProceduralSpec
from handssl.data.procedural.subjects import subject_numbers
from handssl.data.sample import Split


class ProceduralManifest(Config):
    """The contents of `procedural.json`.

    Attributes:
        spec: Specification of the set.
        fingerprint: Fingerprint of the spec and the generator's version.
        unique_ids: Range of unique ids of each split, (first, last + 1).
        subjects: Range of subject numbers of each split, (first, last + 1).
    """

    format_version: Literal[1] = 1
    generator_version: int = GENERATOR_VERSION
    spec: ProceduralSpec
    fingerprint: str
    unique_ids: dict[Split, tuple[int, int]]
    subjects: dict[Split, tuple[int, int]]

    @classmethod
    def of(cls, spec: ProceduralSpec) -> ProceduralManifest:
        """Return the manifest of a spec."""
        ids = {split: spec.unique_ids(split) for split in spec.splits}
        people = {split: subject_numbers(split) for split in spec.splits}
        return cls(
            spec=spec,
            fingerprint=spec.fingerprint,
            unique_ids={split: (r.start, r.stop) for split, r in ids.items()},
            subjects={split: (r.start, r.stop) for split, r in people.items()},
        )
