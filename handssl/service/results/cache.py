"""Cache of the results of studies: made again when the ledger has changed."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from handssl.errors import HandsslError
from handssl.ledger import Ledger, has_results
from handssl.service.errors import NoResultsError
from handssl.service.results.child import Request
from handssl.service.results.making import Made, Maker

KEPT = 16
_SHARE = 10.0  # pages that refresh themselves take at most about a tenth of a core


class Results:
    """Results of studies, made one at a time.

    A request gets results that were read from the ledger after it came, or that are still what the
    ledger says.

    Args:
        storage: Folder of the results.
        tracking_uri: Returns the URI of MLflow.
        make: Makes results.
    """

    def __init__(
        self,
        storage: Path,
        tracking_uri: Callable[[], str],
        make: Callable[[Request], Made] | None = None,
    ) -> None:
        self._storage, self._tracking_uri = storage, tracking_uri
        self._maker = Maker()
        self._make = make or self._maker
        self._lock = threading.Lock()
        self._made: OrderedDict[str, Made] = OrderedDict()
        self._rests_until_s: dict[str, float] = {}
        self._waiting: dict[str, Future[Made]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="handssl-results")

    def ask(self, study: str) -> Future[Made]:
        """Return the results of a study: those that are known, or ones that are being made.

        Args:
            study: Name of the study.

        Raises:
            NoResultsError: None of it has been run.
        """
        if (known := self._current(study)) is not None:
            done: Future[Made] = Future()
            done.set_result(known)
            return done
        with self._lock:
            # One that has begun may have read the ledger before the last change.
            if study not in self._waiting:
                self._waiting[study] = self._pool.submit(self._renew, study)
            return self._waiting[study]

    def latest(self, study: str) -> Made | None:
        """Return the last results of a study at once, and make new ones if they are outdated.

        Args:
            study: Name of the study.

        Returns:
            The results; None if there are none yet.
        """
        with self._lock:
            known, until_s = self._made.get(study), self._rests_until_s.get(study, 0.0)
        if time.monotonic() >= until_s:
            with suppress(HandsslError):  # who asks for the report learns the reason
                self.ask(study)
        return known

    def close(self) -> None:
        """Stop making results."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._maker.close()

    def _renew(self, study: str) -> Made:
        with self._lock:
            self._waiting.pop(study, None)
        if (known := self._current(study)) is not None:
            return known
        began_s = time.monotonic()
        uri = self._tracking_uri()
        try:
            made = self._make(Request(study=study, storage=self._storage, tracking_uri=uri))
        finally:
            now_s = time.monotonic()
            self._rests_until_s[study] = now_s + _SHARE * (now_s - began_s)
        with self._lock:
            self._made[study] = made
            self._made.move_to_end(study)
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return made

    def _current(self, study: str) -> Made | None:
        """Return the known results if the ledger has not changed since."""
        if not has_results(self._storage):
            raise NoResultsError(study)
        with self._lock:
            known = self._made.get(study)
        with closing(Ledger(self._storage)) as ledger:
            if known is None:
                if ledger.studies.plan(study) is None and not ledger.all(study):
                    raise NoResultsError(study)
                return None
            contents, version = known.contents, ledger.studies.version
            same = version(study) == contents.began
            return known if same and version(study, contents.trials) == contents.version else None
