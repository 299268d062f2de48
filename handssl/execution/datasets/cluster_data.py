"""Data settings of a cluster in `places.yaml`: locations of packed stores, caches of nodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from handssl.config import Config
from handssl.data.manifest import Manifest
from handssl.errors import InputError

VARIABLE, FILE = "HANDSSL_PLACES", "places.yaml"
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _bytes(value: Any) -> Any:
    """Parse a size such as `200GB`; numbers are bytes."""
    if isinstance(value, str):
        for unit, size in _UNITS.items():
            number = value.strip().upper().removesuffix(unit)
            if number != value.strip().upper() and number.strip().replace(".", "", 1).isdigit():
                return int(float(number) * size)
        raise ValueError("expected a size such as 200GB")
    return value


class ClusterDataConfig(Config):
    """Data settings of a cluster.

    Attributes:
        stores: Folder that nodes see, or URL, by dataset or `dataset@fingerprint`.
        cache: Folder on each node's own disk that stores are copied to, with `$NAME` taken from the
            node's environment; None: stores are read at their location.
        cache_bytes: Limit of the cache in bytes; of the stores not in use, the least recently used
            ones are evicted first; None: no limit.
        artifacts: Folder or URL for MLflow's files; None: in the storage.

    Example:
        >>> stores = {"freihand@1a2b": "s3://lab/f"}
        >>> site = ClusterDataConfig.parse({"stores": stores, "cache_bytes": "1.5GB"})
        >>> site.place_of("freihand", "1a2b3c"), site.place_of("freihand", "9"), site.cache_bytes
        ('s3://lab/f', None, 1500000000)
    """

    stores: dict[str, str] = Field(default_factory=dict)
    cache: str | None = None
    cache_bytes: Annotated[int, BeforeValidator(_bytes), Field(ge=1)] | None = None
    artifacts: str | None = None

    def place_of(self, dataset: str, fingerprint: str | None) -> str | None:
        """Return the location of a store; None if it is not configured.

        Args:
            dataset: Name of the dataset.
            fingerprint: Fingerprint of the store or its beginning; None matches any.
        """
        for key, place in self.stores.items():
            name, _, known = key.partition("@")
            known_one = fingerprint or ""
            if name == dataset and (known.startswith(known_one) or known_one.startswith(known)):
                return place
        return None

    def matching(self, manifest: Manifest) -> str | None:
        """Return the location of the store with a manifest; None if it is not configured."""
        return self.place_of(manifest.dataset, manifest.fingerprint)


def find_site(storage: Path) -> ClusterDataConfig | None:
    """Read $HANDSSL_PLACES, else `places.yaml` in the storage; None if there is neither.

    Args:
        storage: Folder of the results.

    Raises:
        InputError: The file does not exist, or has mistakes.
    """
    named = os.environ.get(VARIABLE)
    file = Path(named).expanduser() if named else storage / FILE
    if named and not file.is_file():
        raise InputError(f"${VARIABLE}: expected a file, found none at {file}")
    return ClusterDataConfig.load(file) if file.is_file() else None
