"""Contact sheet of the transformations, and how much of each target two views determine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from handssl.data.contact_sheet import write_sheet
from handssl.objectives import RelativeConfig, RelativeLoss, relative_target
from handssl.objectives.irreducible import irreducible_errors
from handssl.objectives.targets import regressed_ranges
from handssl.transforms import AugmentConfig, composition_name
from handssl.transforms.joints_outside import joints_outside
from handssl.transforms.preview import Hands, procedural_hands, stored_hands, transformation_sheet
from handssl.transforms.preview_labels import parameter_names, parameter_words

if TYPE_CHECKING:
    from handssl.data import PackedStore


_DRAWS = 2000  # the standard error of a share is then at most 1.1 percent


def draw_transformations(
    store: PackedStore | None, split: str, seed: int, path: Path, *, cell_px: int = 176
) -> None:
    """Write the sheet of transformations.

    Args:
        store: Store of the shown crops; None: procedural hands, without any data.
        split: Split of the store.
        seed: Seed of the choice of hands and of the drawn transformations.
        path: The PNG file.
        cell_px: Side of a view on the sheet in pixels.
    """
    hands = procedural_hands(seed) if store is None else stored_hands(store, split, seed)
    write_sheet(path, transformation_sheet(hands, relative_target, cell_px=cell_px, seed=seed))


def outside_words(store: PackedStore | None, split: str, seed: int) -> str:
    """Return the share of hands with a joint outside of their view, for each motion alone.

    Args:
        store: Store of the labels; None: procedural hands.
        split: Split of the store.
        seed: Seed of the drawn transformations.

    Returns:
        One line; empty if the store has no labels.
    """
    hands = procedural_hands(seed) if store is None else _all_hands(store, split)
    if hands.uv is None:
        return ""
    boxes = ((hands.uv + 0.5) / hands.crops.shape[-1] - 0.5) * hands.context
    draws = -(-_DRAWS // len(boxes))  # a few hands are drawn several times
    points, valid = (
        torch.from_numpy(np.repeat(values, draws, axis=0)) for values in (boxes, hands.valid)
    )
    ids = torch.arange(len(points))
    shares = joints_outside(points, valid, ids, config=AugmentConfig(), seed=seed)
    named = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    return f"Hands with a joint outside of their view: {named}"


def _all_hands(store: PackedStore, split: str) -> Hands:
    packed = store.split(split)  # type: ignore[arg-type]  # it reports an unknown split
    uv = packed.label("uv").astype(np.float64) if store.manifest.labelled else None
    # Only the side of the crops is needed, not their pixels.
    return Hands(packed.crops(np.arange(1)), uv, packed.label("valid"), store.manifest.context)


def unknown_text(composition: tuple[str, ...]) -> str:
    """Return a table of the irreducible error of every target, alone and within a composition.

    Args:
        composition: Transformations, at least one with parameters.

    Raises:
        InputError: None of them has parameters to predict.
    """
    config = AugmentConfig()
    names = list(regressed_ranges(composition, config))
    columns = [_unknown({name: (name,) for name in names}, config, "normalised")]
    for targets in ("normalised", "between_views"):
        columns.append(_unknown(dict.fromkeys(names, composition), config, targets))
    rows = [
        f"{f'{name}, {parameter_words(parameter)}':<34}"
        + "".join(f"{column[name][index]:>16.2f}" for column in columns)
        for name in names
        for index, parameter in enumerate(parameter_names(name, config))
    ]
    title = (
        f"Unknown from two views ({composition_name(composition)}), of the best constant's error"
    )
    heads = "".join(f"{head:>16}" for head in ("alone", "together", "between_views"))
    return "\n".join([title, f"{'target':<34}{heads}", *rows])


def _unknown(
    compositions: dict[str, tuple[str, ...]], config: AugmentConfig, targets: str
) -> dict[str, tuple[float, ...]]:
    """Return the errors of each transformation's targets within its composition."""
    found: dict[str, tuple[float, ...]] = {}
    for composition in set(compositions.values()):
        options = RelativeConfig.parse({"targets": targets})
        heads = RelativeLoss(1, 1, regressed_ranges(composition, config), options)
        found |= irreducible_errors(heads, config, composition)
    return found
