"""Run a function in several local processes of one process group, for benchmarks and tests."""

from __future__ import annotations

import datetime
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from handssl.errors import HandsslError

_LOOPBACK = Path("/sys/class/net/lo")


class RanksError(HandsslError):
    """A rank failed or did not finish in time."""


def spawn_ranks(
    work: Callable[..., Any],
    count: int,
    *arguments: Any,
    backend: str = "gloo",
    timeout_s: float = 600.0,
) -> list[Any]:
    """Call `work(*arguments)` in several processes that form a process group.

    They rendezvous through a file and communicate over loopback; none outlives the call.

    Args:
        work: Function at the top level of a module, with a small result.
        count: Number of processes.
        arguments: Small arguments, passed to every process.
        backend: `gloo`, or `nccl` if each process has a GPU.
        timeout_s: Timeout for all processes in seconds.

    Returns:
        The results by rank.

    Raises:
        RanksError: A process failed or the timeout expired; the others are killed.
    """
    context = get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="handssl-ranks-") as folder:
        lines = [context.Pipe(duplex=False) for _ in range(count)]
        ranks = [
            context.Process(
                target=_rank, args=(work, arguments, rank, count, backend, folder, sender)
            )
            for rank, (_, sender) in enumerate(lines)
        ]
        for process, (_, sender) in zip(ranks, lines, strict=True):
            process.start()
            sender.close()  # so that the pipe closes when the process ends
        try:
            return _heard([receiver for receiver, _ in lines], time.monotonic() + timeout_s)
        finally:
            for process in ranks:
                process.kill()
                process.join()


def _heard(lines: list[Any], end_s: float) -> list[Any]:
    found: dict[int, Any] = {}
    while len(found) < len(lines):
        open_lines = [line for rank, line in enumerate(lines) if rank not in found]
        ready = connection.wait(open_lines, timeout=max(0.0, end_s - time.monotonic()))
        if not ready:
            silent = [rank for rank in range(len(lines)) if rank not in found]
            raise RanksError(f"ranks {silent} of {len(lines)} did not answer in time")
        answers = {rank: _answer(line) for rank, line in enumerate(lines) if line in ready}
        # A rank that was killed is the reason why the others failed.
        for rank, (done, what) in sorted(answers.items(), key=lambda item: item[1][1] is not None):
            if not done:
                raise RanksError(f"rank {rank} of {len(lines)}{what or ' ended without a result'}")
            found[rank] = what
    return [found[rank] for rank in range(len(lines))]


def _answer(line: Any) -> tuple[bool, Any]:
    """Return (success, result or error message); the message is None for a killed process."""
    try:
        done, what = line.recv()
    except EOFError:
        return False, None
    return done, what if done else f": {what}"


def _rank(
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
    rank: int,
    count: int,
    backend: str,
    folder: str,
    line: Any,
) -> None:
    if _LOOPBACK.exists():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if backend == "nccl":
        torch.cuda.set_device(rank)
    try:
        dist.init_process_group(
            backend,
            store=dist.FileStore(  # type: ignore[attr-defined]
                f"{folder}/store", count
            ),
            rank=rank,
            world_size=count,
            timeout=datetime.timedelta(seconds=120),
        )
        line.send((True, work(*arguments)))
        # A rank that exits while others still read from it would break their last collective.
        dist.barrier()
        dist.destroy_process_group()
    except Exception as error:
        line.send((False, f"{type(error).__name__}: {error}"))
