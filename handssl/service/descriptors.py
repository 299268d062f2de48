"""File descriptors: how many connections there can be so that enough are left for the rest."""

from __future__ import annotations

import resource

from handssl.errors import InputError

RESERVED = 128  # of the dispatcher, the databases, logs, Ray and MLflow
_FEWEST, _MOST = 32, 1000
_ENOUGH = 65_536


def most_connections() -> int:
    """Raise the limit of open files as far as may be; return how many may be connections.

    Raises:
        InputError: So few files can be opened that the service could not work.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return connections_of(max(limit, soft))


def connections_of(files: int) -> int:
    """Return how many of the files that can be open may be connections.

    Raises:
        InputError: Too few are left for them.

    Example:
        >>> connections_of(200), connections_of(1024), connections_of(65536)
        (72, 896, 1000)
    """
    if files < RESERVED + _FEWEST:
        raise InputError(
            f"open files: expected a limit of at least {RESERVED + _FEWEST}, got {files}; "
            "raise it, with `ulimit -n 4096` in the shell or LimitNOFILE=4096 in the unit"
        )
    return min(files - RESERVED, _MOST)
