"""Cache of the progress of jobs, refreshed in the background, as large studies take seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from handssl.service.dispatch.progress import Progress
from handssl.service.queue.job import Job

_FRESH_S = 2.0
_SHARE = 10.0  # refreshing takes at most about a tenth of a core


@dataclass
class _Entry:
    progress: Progress
    until_s: float
    busy: bool = False


class ProgressCache:
    """Progress by job; old values are returned while new ones are computed.

    Args:
        read: Returns the progress of a job; may take seconds.
    """

    def __init__(self, read: Callable[[Job], Progress]) -> None:
        self._read, self._entries = read, dict[tuple[str, str, int], _Entry]()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="handssl-board")

    def get(self, job: Job) -> Progress:
        """Return the progress of a job; it may be some seconds old while the job runs."""
        if job.state == "queued" and not job.attempt:
            return Progress()
        key = (job.id, job.state, job.attempt)
        with self._lock:
            entry = self._entries.get(key)
            stale = entry and job.state == "running" and time.monotonic() > entry.until_s
            if entry and stale and not entry.busy:
                entry.busy = True
                self._pool.submit(self._refresh, key, job)
        return entry.progress if entry else self._refresh(key, job)

    def close(self) -> None:
        """Stop refreshing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _refresh(self, key: tuple[str, str, int], job: Job) -> Progress:
        began_s = time.monotonic()
        try:
            found = self._read(job)
        except Exception:
            self._look_again_later(key)
            raise
        took_s = time.monotonic() - began_s
        with self._lock:
            self._forget(job)
            until_s = time.monotonic() + max(_FRESH_S, _SHARE * took_s)
            self._entries[key] = _Entry(found, until_s)
        return found

    def _look_again_later(self, key: tuple[str, str, int]) -> None:
        with self._lock:
            if entry := self._entries.get(key):
                entry.busy, entry.until_s = False, time.monotonic() + _FRESH_S

    def _forget(self, job: Job) -> None:
        for key in [key for key in self._entries if key[0] == job.id]:
            del self._entries[key]
