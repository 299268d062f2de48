"""Open a dataset by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handssl.config import nearest
from handssl.data.freihand import FreihandDataset
from handssl.data.procedural import ProceduralDataset, ProceduralSpec
from handssl.data.sample import SPLITS, Dataset, Split
from handssl.errors import InputError

NAMES = ("procedural", "freihand")


def open_dataset(
    name: str, root: Path | str | None = None, split: Split = "pretrain", **options: Any
) -> Dataset:
    """Open one split of a dataset.

    Args:
        name: `procedural` or `freihand`.
        root: Where the files are; `procedural` needs none.
        split: One of pretrain, probe, select, test.
        options: Fields of `ProceduralSpec`, or `rule` of `FreihandDataset`.

    Returns:
        A sequence of samples.

    Raises:
        InputError: Unknown name, split or option, or a root that is missing.
        DataError: The files are not what the layout promises.

    Example:
        >>> len(open_dataset("procedural", split="probe", probe=5))
        5
    """
    if name not in NAMES:
        raise InputError(f"unknown dataset {name!r}{nearest(name, NAMES)}")
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}{nearest(split, SPLITS)}")
    if name == "procedural":
        return ProceduralDataset(ProceduralSpec.parse(options), split)
    if root is None:
        raise InputError("freihand: expected a root, the folder with training/ and training_K.json")
    unknown = set(options) - {"rule"}
    if unknown:
        raise InputError(f"freihand: unknown option {', '.join(sorted(unknown))}; valid: rule")
    return FreihandDataset(Path(root), split, **options)
