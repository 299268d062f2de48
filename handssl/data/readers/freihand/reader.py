"""Reader of official and procedural FreiHAND roots."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from handssl.data.image_files import read_image
from handssl.data.readers.freihand.annotations import Annotations, open_annotations
from handssl.data.readers.freihand.evaluation import find_evaluation
from handssl.data.readers.freihand.layout import choose_versions, image_path, read_layout
from handssl.data.readers.freihand.splits import SplitRule
from handssl.data.sample import Rows, Sample, Split


class FreihandReader:
    """All images of a FreiHAND root, each once; files are found by id, never by listing.

    Training images come version by version: `id` = unique id + 32,560 x version, `group` = unique
    id. Then the evaluation images i = 0..3,959: `id` = 130,240 + i, `group` = 32,560 + i. Labels
    are in metres, uv = (K xyz) / z. The JSON is parsed on first use and mapped from a cache later.
    A `procedural.json` in the root states counts, splits and image size; without it the official
    ones are required.

    The splits `pretrain`, `probe`, `select` and `test` contain training images; with official data
    `pretrain` lists the images of `probe`. `evaluation` exists if the evaluation release is found.

    Args:
        root: Folder that contains `training/` and `training_{K,xyz,scale}.json`.
        rule: Split rule for official ids, see `official_split`.
        versions: Some of gs, hom, sample, auto; None selects all that the root has.
        evaluation_root: Folder of the evaluation release; None searches `root` and `<root>_eval`.

    Attributes:
        versions: Versions that are read.
        evaluation_root: Folder of the evaluation set, or None.
        notes: Remarks for the user: what was left out, and why.

    Raises:
        DataError: A root or a list differs from the expected layout.
        InputError: A rule or a version is unknown or not available.
    """

    name = "freihand"

    def __init__(
        self,
        root: Path,
        *,
        rule: SplitRule = "blocks",
        versions: tuple[str, ...] | None = None,
        evaluation_root: Path | None = None,
    ) -> None:
        self.root, self._layout = Path(root), read_layout(Path(root), rule)
        self.rule, self.split_rule = rule, self._layout.split_rule
        self.versions = choose_versions(self.root, self._layout, versions)
        given = None if evaluation_root is None else Path(evaluation_root)
        found, notes = find_evaluation(self.root, given, self._layout.evaluation)
        self.evaluation_root = found
        self.notes = (*self._absent_versions(versions), *notes)
        self._training = self._open(self.root, "training", self._layout.unique)
        self._evaluation = (
            None if found is None else self._open(found, "evaluation", self._layout.evaluation)
        )
        self._numbers = [self._layout.versions.index(name) for name in self.versions]
        self._training_rows = len(self._numbers) * self._layout.unique
        self.splits: Mapping[Split, Rows] = self._positions()
        self.fingerprint = self._fingerprint()

    def __reduce__(self) -> tuple[Callable[..., FreihandReader], tuple[Path]]:
        # Other processes open the cache themselves: a pickle would copy the mapped arrays.
        again = partial(
            FreihandReader,
            rule=self.rule,
            versions=self.versions,
            evaluation_root=self.evaluation_root,
        )
        return again, (self.root,)

    def __len__(self) -> int:
        return self._training_rows + (0 if self._evaluation is None else self._layout.evaluation)

    def file_of(self, index: int) -> Path:
        """Return the file that a sample's image is read from."""
        if index < self._training_rows:
            return image_path(self.root, "training", self._number(index))
        assert self.evaluation_root is not None  # noqa: S101
        return image_path(self.evaluation_root, "evaluation", index - self._training_rows)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        unique, path = self._layout.unique, self.file_of(index)
        if index < self._training_rows:
            group = index % unique
            return self._sample(self._training, group, path, self._number(index), group)
        assert self._evaluation is not None  # noqa: S101
        row = index - self._training_rows
        first = unique * len(self._layout.versions)
        return self._sample(self._evaluation, row, path, first + row, unique + row)

    def _number(self, index: int) -> int:
        """Return the id of a training image."""
        position, group = divmod(index, self._layout.unique)
        return group + self._layout.unique * self._numbers[position]

    def _sample(self, lists: Annotations, row: int, path: Path, number: int, group: int) -> Sample:
        side = self._layout.image_px
        xyz, camera = np.array(lists.xyz[row]), np.array(lists.camera[row])
        homogeneous = xyz @ camera.T
        return Sample(
            image=read_image(path, (side, side)),
            id=number,
            group=group,
            source=str(path),
            uv=homogeneous[:, :2] / homogeneous[:, 2:],
            xyz=xyz,
            camera=camera,
        )

    def _open(self, root: Path, part: str, count: int) -> Annotations:
        return open_annotations(root, part, count, self._layout.stated_by)

    def _absent_versions(self, asked: tuple[str, ...] | None) -> tuple[str, ...]:
        absent = [name for name in self._layout.versions if name not in self.versions]
        if asked is not None or not absent:
            return ()
        return (f"versions: no images of {', '.join(absent)}, left out",)

    def _positions(self) -> dict[Split, Rows]:
        firsts = np.arange(len(self.versions))[:, None] * self._layout.unique
        splits: dict[Split, Rows] = {
            split: (firsts + ids).ravel() for split, ids in self._layout.ids.items()
        }
        if self._evaluation is not None:
            splits["evaluation"] = np.arange(self._training_rows, len(self))
        return splits

    def _fingerprint(self) -> str:
        text = f"{self._layout.identity} {' '.join(self.versions)}"
        digest = hashlib.blake2b(text.encode(), digest_size=16)
        for lists in (self._training, self._evaluation):
            digest.update(b"none" if lists is None else lists.digest)
        return digest.hexdigest()
