"""Limit of connections by the number of file descriptors, with enough left for everything else."""

from __future__ import annotations

import resource

from handssl.errors import InputError

RESERVED = 128  # for the dispatcher, the databases, logs, Ray and MLflow
_FEWEST, _MOST = 32, 1000
_ENOUGH = 65_536


def most_connections() -> int:
    """Raise the limit of open files as far as allowed; return how many may be connections.

    Raises:
        InputError: Too few files can be open for the service to work.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return connections_of(max(limit, soft))


def connections_of(files: int) -> int:
    """Return how many of the open files may be connections.

    Args:
        files: Limit of open files.

    Raises:
        InputError: The limit leaves too few for connections.

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
