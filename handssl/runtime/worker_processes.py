"""Work distributed over processes that never outlive their parent."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeVar

import cv2

from handssl.errors import DataError

Result = TypeVar("Result")

_QUEUED = 2  # items queued per process, so that no process waits for this one
_shared: Any = None


def completed(
    work: Callable[..., Result], items: Iterable[tuple[Any, ...]], *, shared: Any, workers: int
) -> Generator[Result, None, None]:
    """Call `work(shared, *item)` for every item and yield the results as they are completed.

    This process works too, so that work starts while the others are still starting. Close the
    generator (`contextlib.closing`) to end early: remaining items are not started, and no process
    is left.

    Args:
        work: A module-level function.
        items: Further arguments of each call; they should be small.
        shared: First argument of every call, sent to each process once.
        workers: Number of processes, this one included.

    Yields:
        Results, in any order.

    Raises:
        DataError: A worker process ended before the work was done.
    """
    if workers == 1:
        for item in items:
            yield work(shared, *item)
        return
    # Spawned, not forked: the caller may hold threads and locks of other libraries.
    pool = ProcessPoolExecutor(workers - 1, get_context("spawn"), _prepare, (shared,))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield from _divided(pool, work, deque(items), shared, _QUEUED * (workers - 1))
    except BrokenProcessPool:
        raise DataError(
            "worker processes ended before the work was done; a script must call this below "
            "`if __name__ == '__main__':`, otherwise memory may have run out"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        cv2.setNumThreads(threads)


def _divided(
    pool: ProcessPoolExecutor,
    work: Callable[..., Result],
    items: deque[tuple[Any, ...]],
    shared: Any,
    queued: int,
) -> Generator[Result, None, None]:
    """Keep the pool supplied, process one item here, yield finished results; repeat."""
    running: set[Future[Result]] = set()
    while items or running:
        while items and len(running) < queued:
            running.add(pool.submit(_call, work, items.popleft()))
        if items:
            yield work(shared, *items.popleft())
        else:
            wait(running, return_when=FIRST_COMPLETED)
        done = {future for future in running if future.done()}
        running -= done
        for future in done:
            yield future.result()


def _prepare(shared: Any) -> None:
    global _shared
    _shared = shared
    # Ctrl-C reaches the whole process group; only the parent decides, workers end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """Exit when the parent is gone: a killed parent cannot end its pool, which would wait."""
    parent = parent_process()
    assert parent is not None  # noqa: S101  a worker has a parent
    connection.wait([parent.sentinel])
    os._exit(1)


def _call(work: Callable[..., Result], item: tuple[Any, ...]) -> Result:
    return work(_shared, *item)
