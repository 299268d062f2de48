"""Claims of the trials that this driver works on, held in the ledger while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

from handssl.errors import BusyStudyError, DataError
from handssl.ledger.claims import Claims, study_key

RETRY_S = 2.0


class TrialClaims:
    """Claims trials one at a time and renews the claims in a background thread.

    A killed driver renews nothing, so other drivers get its trials when the lease expires; on the
    same machine immediately, since its process is known to have ended.

    Args:
        claims: Claims of the ledger.
        study: Name of the study; only one driver runs it at a time.
        patience_s: Seconds to wait for the end of another driver.

    Attributes:
        is_study_lost: Whether another driver has taken over the study because this one did not
            renew its claim in time.

    Raises:
        BusyStudyError: Another driver runs this study.
    """

    def __init__(self, claims: Claims, study: str, *, patience_s: float = 0.0) -> None:
        self._claims, self._mine = claims, dict[str, int]()  # by the number of each claim
        self._numbers, self._refused = count(), dict[str, float]()
        self._lost: frozenset[tuple[str, int]] = frozenset()
        self.is_study_lost = False
        self._closing = threading.Event()
        self._study = study_key(study)
        deadline = time.monotonic() + patience_s
        while not self._is_only_one() and time.monotonic() < deadline:
            time.sleep(min(RETRY_S, patience_s))
        if not claims.take([self._study]):
            raise BusyStudyError(
                f"study {study}: expected no other driver to run it, "
                f"{claims.holders().get(self._study, 'another')} does; wait until it has ended"
            )
        self._thread = threading.Thread(target=self._renew, daemon=True, name="handssl-claims")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._claims.release()

    def _is_only_one(self) -> bool:
        self._claims.release_dead()
        return bool(self._claims.take([self._study]))

    @property
    def others(self) -> tuple[str, ...]:
        """The trials that were refused because another driver works on them."""
        return tuple(self._refused)

    def take(self, trial_id: str) -> bool:
        """Claim a trial; after a refusal, wait at least RETRY_S before the next attempt."""
        if trial_id in self._mine:
            return True
        if time.monotonic() < self._refused.get(trial_id, 0.0):
            return False
        if not self._claims.take([trial_id]):
            self._claims.release_dead()
            self._refused[trial_id] = time.monotonic() + RETRY_S
            return False
        self._refused.pop(trial_id, None)
        self._mine[trial_id] = next(self._numbers)
        return True

    def release(self, trial_id: str) -> None:
        """Release the claim of a trial that is over or waits."""
        if self._mine.pop(trial_id, None) is not None:
            self._claims.release([trial_id])

    def is_lost(self, trial_id: str) -> bool:
        """Return whether another driver has taken over a trial whose claim was not renewed."""
        return (trial_id, self._mine.get(trial_id, -1)) in self._lost

    def forget(self, trial_ids: Iterable[str]) -> None:
        """Stop trying to claim trials that are over."""
        for trial_id in trial_ids:
            self._refused.pop(trial_id, None)

    def renew(self) -> None:
        """Renew all claims for another lease, and note those that others have taken over."""
        mine = dict(self._mine)
        held = self._claims.renew()
        self._lost = frozenset(claim for claim in mine.items() if claim[0] not in held)
        self.is_study_lost = self._study not in held

    def _renew(self) -> None:
        while not self._closing.wait(self._claims.lease_s / 4):
            with suppress(DataError):  # other users of the ledger report the error and stop
                self.renew()
