"""Trial identity: a hash of what determines the result, and of nothing else.

A configuration counts by what differs from the defaults that were frozen with the version of the
numerics (`frozen_defaults.json`). So an option that is added later, or a default that is changed,
leaves the ids of all other trials alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from handssl.training.config import PretrainConfig, is_read
from handssl.transforms import TRANSFORMATIONS

# Increase it when the same configuration gives other numbers: old results no longer count. Then
# write the defaults of the new version with `python -m handssl.study.identity`.
NUMERICS_VERSION = 3
FROZEN = Path(__file__).with_name("frozen_defaults.json")


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
        "config": differences(_determining(config), frozen_defaults()),
        "data": data_fingerprint,
        "kind": kind,
        "numerics": NUMERICS_VERSION,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def differences(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that differ from defaults, group by group.

    Args:
        values: Nested mappings of JSON values; lists count as a whole.
        defaults: Nested mappings with the same keys.

    Example:
        >>> differences({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 2, "d": 4}})
        {'b': {'d': 3}}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        default = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            if inner := differences(value, default):
                found[name] = inner
        elif name not in defaults or value != default:
            found[name] = value
    return found


@cache
def frozen_defaults() -> Mapping[str, Any]:
    """Return the configuration that counts as empty, frozen with the numerics version."""
    content = json.loads(FROZEN.read_text(encoding="utf-8"))
    defaults: Mapping[str, Any] = content["defaults"]
    return defaults


def _determining(config: PretrainConfig) -> dict[str, Any]:
    """Return the options that determine the result: those the objective and composition use."""
    values = config.canonical().model_dump(mode="json")
    for name in [name for name in values if not is_read(name, config.objective)]:
        del values[name]
    augmentation = values["augmentation"]
    for name in set(TRANSFORMATIONS) - set(config.composition):
        del augmentation[name]
    augmentation["custom"] = [
        one for one in augmentation["custom"] if one["name"] in config.composition
    ]
    return values


if __name__ == "__main__":
    frozen = {
        "numerics": NUMERICS_VERSION,
        "defaults": PretrainConfig().model_dump(mode="json"),
    }
    FROZEN.write_text(json.dumps(frozen, indent=1) + "\n", encoding="utf-8")
