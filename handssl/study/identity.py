"""Trial identity: a hash of what determines the result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from handssl.training.config import PretrainConfig
from handssl.transforms import TRANSFORMATIONS
from handssl.transforms.config import STORED

# Increase it when the same configuration gives other numbers: old results no longer count.
NUMERICS_VERSION = 2


def trial_id(config: PretrainConfig, data_fingerprint: str, *, kind: str = "trial") -> str:
    """Return a trial's id: a hash of configuration (with seed), data and numerics version.

    Device, number of workers and library versions are not part of it, nor are the parameters
    of transformations that are off, so one trial serves every study that includes it.

    Args:
        config: The resolved configuration. Custom transformations count by import path, name,
            ranges and probability, in the order in which they are applied, not by their code.
        data_fingerprint: Fingerprint of all splits together.
        kind: `trial`, or the name of a reference.

    Returns:
        16 hexadecimal characters.

    Example:
        >>> len(trial_id(PretrainConfig(), "00"))
        16
        >>> trial_id(PretrainConfig(seed=1), "00") == trial_id(PretrainConfig(seed=2), "00")
        False
    """
    content = {
        "config": _determining(config),
        "data": data_fingerprint,
        "kind": kind,
        "numerics": NUMERICS_VERSION,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# Options that were added later: with these values, trials keep the ids of older results.
_UNCHANGED = {"accumulation": 1, "batch_norm": "global"}


def _determining(config: PretrainConfig) -> dict[str, Any]:
    values = config.canonical().model_dump(mode="json")
    for name, value in _UNCHANGED.items():
        if values[name] == value:
            del values[name]
    for name in set(TRANSFORMATIONS) - set(config.composition):
        del values["augmentation"][name]
    key = STORED["custom"]
    custom = values["augmentation"].pop(key, ())
    if on := [one for one in custom if one["name"] in config.composition]:
        values["augmentation"][key] = on
    return values
