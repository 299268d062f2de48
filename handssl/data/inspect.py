"""Summarise a store in counts and ranges for a first check."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.data.store import PackedStore
from handssl.pose import encode_2_5d
from handssl.pose.skeleton import BONE, ROOT

_MM_PER_M = 1000.0


def describe(store: PackedStore) -> dict[str, Any]:
    """Return counts and ranges of a store, ready for JSON.

    Args:
        store: The store.

    Returns:
        The manifest without its digests, `groups` of every split, and for labelled stores `ranges`:
        minimum, median and maximum of each measure.
    """
    described = store.manifest.model_dump(mode="json", exclude={"shards", "digest"})
    described["folder"] = str(store.folder)
    described["bytes"] = int(store.images.array.nbytes)
    groups = {name: store.split(name).label("groups") for name in store.manifest.splits}
    described["groups"] = {name: len(np.unique(values)) for name, values in groups.items()}
    if store.manifest.labelled:
        described["ranges"] = {
            name: [float(f"{value:.6g}") for value in np.quantile(values, (0.0, 0.5, 1.0))]
            for name, values in _measures(store).items()
            if values.size
        }
    return described


def _measures(store: PackedStore) -> dict[str, NDArray[np.float64]]:
    valid = np.asarray(store.labels["valid"])
    anchored = valid[:, [ROOT, *BONE]].all(axis=1)
    xyz, camera = store.labels["xyz"][anchored], store.labels["camera"][anchored]
    pose = encode_2_5d(xyz, camera)
    return {
        "joint u in the crop, px": store.labels["uv"][valid][:, 0],
        "joint v in the crop, px": store.labels["uv"][valid][:, 1],
        "joints with a label": valid.sum(axis=1).astype(float),
        "depth of the wrist, m": xyz[:, ROOT, 2],
        "wrist to middle knuckle, mm": pose.scale * _MM_PER_M,
        "focal length in the crop, px": camera[:, 0, 0],
        "outside its image, share": np.asarray(store.labels["outside"]),
    }
