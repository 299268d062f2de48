"""Handling of Ctrl-C and SIGTERM: noted immediately, acted on at a safe point, never in a write."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Context manager that catches both signals; outside the main thread it does nothing.

    The first signal raises KeyboardInterrupt only inside `at_once`; elsewhere it is noted in
    `requested`, for the caller to act on. Later ones are ignored, so that they cannot interrupt the
    clean-up that the first has started.

    Example:
        >>> with Interruption() as interruption:
        ...     signal.raise_signal(signal.SIGINT)
        ...     signal.raise_signal(signal.SIGINT)
        ...     interruption.requested
        True
    """

    def __init__(self) -> None:
        self.requested = False
        self.signal: signal.Signals | None = None
        self._at_once = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {name: signal.getsignal(name) for name in SIGNALS}
            self.listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, handler in self._previous.items():
            signal.signal(name, handler)

    def listen(self) -> None:
        """Install the handlers; needed again after Ray, which installs its own for SIGTERM."""
        for name in self._previous:
            signal.signal(name, self._on_signal)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal interrupt this block immediately; for work that may be aborted anywhere."""
        self.raise_if_requested()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def raise_if_requested(self) -> None:
        """Raise KeyboardInterrupt if a signal was received."""
        if self.requested:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        self.signal = self.signal or signal.Signals(number)
        if first and self._at_once:
            raise KeyboardInterrupt
