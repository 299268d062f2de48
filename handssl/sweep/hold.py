"""The trials that this driver works on: claimed in the ledger, and held for as long as it lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

from handssl.errors import BusyStudyError, DataError
from handssl.tracking.ledger.claims import Claims, study_key

RETRY_S = 2.0


class Hold:
    """Claims trials one at a time and renews them in a thread of its own.

    A driver that is killed renews no more, so that its trials go to others when the lease is over;
    on the same machine at once, since its process is seen to be gone.

    Args:
        claims: Of the ledger.
        study: Which only one driver runs at a time.
        patience_s: How long to wait for another driver's end.

    Attributes:
        is_study_lost: Another driver has taken the study over, this one having been silent.

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
                f"study {study}: expected to be the only one who runs it, "
                f"{claims.holders().get(self._study, 'another')} does; wait for its end"
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
        """Claim a trial; after a refusal the ledger is asked again after RETRY_S at the soonest."""
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
        """Let go of a trial that is over, or waits."""
        if self._mine.pop(trial_id, None) is not None:
            self._claims.release([trial_id])

    def is_lost(self, trial_id: str) -> bool:
        """Say whether another driver has taken a trial over, this one having been silent."""
        return (trial_id, self._mine.get(trial_id, -1)) in self._lost

    def forget(self, trial_ids: Iterable[str]) -> None:
        """Ask no more for trials that are over."""
        for trial_id in trial_ids:
            self._refused.pop(trial_id, None)

    def renew(self) -> None:
        """Hold all claims for another lease, and see which of them others have taken over."""
        mine = dict(self._mine)
        held = self._claims.renew()
        self._lost = frozenset(claim for claim in mine.items() if claim[0] not in held)
        self.is_study_lost = self._study not in held

    def _renew(self) -> None:
        while not self._closing.wait(self._claims.lease_s / 4):
            with suppress(DataError):  # whoever needs the ledger tells of it, and ends for it
                self.renew()
