"""Iterator over the trials of a study as they end, with the study running in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from handssl.execution.api import run
from handssl.execution.result import StudyResult
from handssl.execution.storage import resolve_storage
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.planning.execution_options import ExecutionOptions
from handssl.runtime.interruption import Interruption
from handssl.study.events import Ended, Event, OnEvent
from handssl.study.study import Study


class Stream:
    """The ended trials of a study, in the order in which they end; then its whole result.

    Args:
        study: The study to run.
        storage: Folder of the results, as for `handssl.run`.
        tracking_uri: MLflow store, as for `handssl.run`.
        options: Execution options, as for `handssl.run`.
        on_event: Called with every event, in another thread.

    Attributes:
        result: Result of `handssl.run`; None until the study has ended.
    """

    def __init__(
        self,
        study: Study,
        *,
        storage: Path | str | None = None,
        tracking_uri: str | None = None,
        options: ExecutionOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.result: StudyResult | None = None
        self._study, self._storage, self._on_event = study, resolve_storage(storage), on_event
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._error: BaseException | None = None
        self._interruption = Interruption()
        arguments = {"storage": self._storage, "tracking_uri": tracking_uri, "options": options}
        self._thread = threading.Thread(target=self._run, args=(arguments,), name="stream")
        self._thread.start()

    def __iter__(self) -> Iterator[TrialRecord]:
        """Yield the record of every trial as it ends.

        Raises:
            InputError: As `handssl.run`, after the trials before it were yielded.
        """
        while (event := self._events.get()) is not None:
            if isinstance(event, Ended):
                record = Ledger(self._storage).load(event.trial.trial_id)
                if record is not None:
                    yield record
        self._events.put(None)  # for a further iteration
        self._thread.join()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the study: finished trials are kept, and it resumes when it is run again."""
        self._interruption.requested = True
        self._thread.join()

    def _run(self, arguments: dict[str, Any]) -> None:
        try:
            arguments |= {"on_event": self._put, "interruption": self._interruption}
            self.result = run(self._study, **arguments)
        except BaseException as error:
            self._error = error
        finally:
            self._events.put(None)

    def _put(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
        self._events.put(event)


def stream(study: Study, **arguments: Any) -> Stream:
    """Run a study and iterate over its trials as they end.

    Args:
        study: The study to run.
        arguments: Further arguments of `Stream`.

    Returns:
        An iterator over records, which is also a context manager: leaving it early stops the study
        cleanly.
    """
    return Stream(study, **arguments)
