"""Results as they come: a study in a thread, its ended trials as an iterator."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from handssl.sweep.events import Ended, Event, OnEvent
from handssl.sweep.interruption import Interruption
from handssl.sweep.result import StudyResult
from handssl.sweep.running import Running
from handssl.sweep.storage import resolve_storage
from handssl.sweep.study import Study
from handssl.sweep.supervised import run
from handssl.tracking.ledger import Ledger
from handssl.tracking.record import TrialRecord


class Stream:
    """The ended trials of a study, in the order in which they end; then its whole result.

    Args:
        study: What to run.
        storage: As of `handssl.run`, likewise the rest.
        tracking_uri: MLflow store.
        running: How.
        on_event: Called with everything that happens, in another thread.

    Attributes:
        result: What `handssl.run` returns, once there is nothing more to come.
    """

    def __init__(
        self,
        study: Study,
        *,
        storage: Path | str | None = None,
        tracking_uri: str | None = None,
        running: Running | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.result: StudyResult | None = None
        self._study, self._storage, self._on_event = study, resolve_storage(storage), on_event
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._error: BaseException | None = None
        self._interruption = Interruption()
        options = {"storage": self._storage, "tracking_uri": tracking_uri, "running": running}
        self._thread = threading.Thread(target=self._run, args=(options,), name="stream")
        self._thread.start()

    def __iter__(self) -> Iterator[TrialRecord]:
        """Yield the record of every trial that ends, or wait for the next.

        Raises:
            InputError: As `handssl.run` does, once what came before was yielded.
        """
        while (event := self._events.get()) is not None:
            if isinstance(event, Ended):
                record = Ledger(self._storage).load(event.trial.trial_id)
                if record is not None:
                    yield record
        self._events.put(None)  # for whoever iterates once more
        self._thread.join()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the study: what finished is kept, and it goes on when it is run again."""
        self._interruption.requested = True
        self._thread.join()

    def _run(self, options: dict[str, Any]) -> None:
        try:
            options |= {"on_event": self._told, "interruption": self._interruption}
            self.result = run(self._study, **options)
        except BaseException as error:
            self._error = error
        finally:
            self._events.put(None)

    def _told(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
        self._events.put(event)


def stream(study: Study, **options: Any) -> Stream:
    """Run a study and iterate over its trials as they end.

    Args:
        study: What to run.
        options: As of `handssl.run`.

    Returns:
        An iterator over records, which is also a context manager: leaving it early ends the study
        cleanly.
    """
    return Stream(study, **options)
