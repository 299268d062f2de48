"""Hands for a sheet of transformations: of a packed store, or rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from handssl.data.crops import CONTEXT, CROP_PX, crop_sample
from handssl.data.procedural import ProceduralReader, ProceduralSpec
from handssl.transforms.preview import STEPS, Hands

if TYPE_CHECKING:
    from handssl.data import PackedStore


def procedural_hands(seed: int) -> Hands:
    """Render a few hands, without any data.

    Args:
        seed: Seed of subjects and poses.
    """
    # With seed 4 the first hand is open, so that the motion of every finger is visible.
    spec = ProceduralSpec(pretrain=STEPS, probe=0, select=0, test=0, image_px=224, seed=4 + seed)
    reader = ProceduralReader(spec)
    packed = [crop_sample(reader[index], CROP_PX, CONTEXT) for index in range(STEPS)]
    crops = torch.from_numpy(np.stack([crop for crop, _ in packed])).permute(0, 3, 1, 2)
    uv, valid = (np.stack([row[key] for _, row in packed]) for key in ("uv", "valid"))
    return Hands(crops.contiguous(), uv, valid, CONTEXT)


def stored_hands(store: PackedStore, split: str, seed: int) -> Hands:
    """Return a few hands of a store.

    Args:
        store: The store.
        split: One of its splits.
        seed: Seed of the choice.

    Raises:
        InputError: The store has no such split.
    """
    packed = store.split(split)  # type: ignore[arg-type]  # it reports an unknown split
    chosen = np.sort(np.random.default_rng(seed).permutation(len(packed))[:STEPS])
    uv = packed.label("uv")[chosen].astype(np.float64) if store.manifest.labelled else None
    return Hands(packed.crops(chosen), uv, packed.label("valid")[chosen], store.manifest.context)
