"""The four packed splits a trial reads, and who may open which."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from handssl.data.sample import SPLITS, Split
from handssl.data.store import PackedStore
from handssl.errors import DataError


class StudyData:
    """The packed stores of one dataset: pretrain, probe, select and test.

    Args:
        folder: Holds one packed store for each split, under the split's name.

    Raises:
        DataError: A split is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        missing = [name for name in SPLITS if not (folder / name / "manifest.json").is_file()]
        if missing:
            raise DataError(
                f"{folder}: expected packed stores {', '.join(SPLITS)}, "
                f"missing {', '.join(missing)}; prepare the data again"
            )
        self._stores: dict[Split, PackedStore] = {}

    def store(self, split: Split) -> PackedStore:
        """Return the store of a split, opened once."""
        if split not in self._stores:
            self._stores[split] = PackedStore(self.folder / split)
        return self._stores[split]

    @cached_property
    def fingerprint(self) -> str:
        """Of all four splits together, 32 hex characters; part of every trial's identity."""
        prints = "".join(self.store(split).manifest.fingerprint for split in SPLITS)
        return hashlib.blake2b(prints.encode(), digest_size=16).hexdigest()
