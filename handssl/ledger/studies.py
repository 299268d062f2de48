"""The plan of each study at its first run, changes since then, and a digest of its state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, or_, select, update

from handssl.ledger.tables import log, requests, studies, trials
from handssl.runtime.database import Database
from handssl.runtime.retry import patient

Plan = dict[str, Any]


class StudyPlans:
    """Plans of studies, registered before their first result.

    Args:
        database: Database of the ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @patient
    def keep_plan(self, study: str, plan: Mapping[str, Any]) -> Plan:
        """Keep a study's plan unless it has one.

        Args:
            study: Name of the study.
            plan: The plan as JSON values.

        Returns:
            The plan that was kept first.
        """
        with self._database.begin() as connection:
            self._database.add(connection, studies, {"name": study, "plan": dict(plan)})
            return dict(connection.scalar(_plan_of(study)))

    @patient
    def add_deviation(self, study: str, plan_hash: str, deviations: list[str]) -> None:
        """Record that a study was run under a plan other than its first; once for each plan."""
        with self._database.begin() as connection:
            kept = connection.scalar(_plan_of(study))
            if not kept:
                return
            later = {**kept.get("later", {}), plan_hash: deviations}
            row = studies.c.name == study
            connection.execute(update(studies).where(row).values(plan={**kept, "later": later}))

    @patient
    def keep_study(self, study: str, values: Mapping[str, Any]) -> None:
        """Store a study as it was last run, next to its first plan.

        Args:
            study: Name of the study.
            values: The study as JSON values.
        """
        with self._database.begin() as connection:
            kept = connection.scalar(_plan_of(study)) or {}
            row = studies.c.name == study
            connection.execute(
                update(studies).where(row).values(plan={**kept, "study": dict(values)})
            )

    @patient
    def names(self) -> tuple[str, ...]:
        """Return the names of the studies that have a plan."""
        with self._database.begin(reading=True) as connection:
            return tuple(connection.scalars(select(studies.c.name).order_by(studies.c.name)))

    @patient
    def plan(self, study: str) -> Plan | None:
        """Return the plan under which a study was first run, None if it has not been run."""
        with self._database.begin(reading=True) as connection:
            found = connection.scalar(_plan_of(study))
        return dict(found) if found else None

    @patient
    def version(self, study: str, trial_ids: Sequence[str] = ()) -> str:
        """Return a digest that changes with all that the ledger holds on a study.

        That is its plan, its log, the requests to it, and the state of its trials. Claims do not
        count: they are renewed all the time.

        Args:
            study: Name of the study.
            trial_ids: Trials that other studies have run first, which the study uses too.

        Example:
            >>> from handssl.ledger.tables import LEDGER
            >>> plans = StudyPlans(Database("sqlite://", LEDGER))
            >>> before = plans.version("mine")
            >>> _ = plans.keep_plan("mine", {"hash": "1"}), plans.keep_plan("other", {"hash": "2"})
            >>> plans.version("mine") == before
            False
        """
        own = or_(trials.c.study == study, self._database.among(trials.c.trial_id, trial_ids))
        states = select(
            trials.c.trial_id, trials.c.outcome, trials.c.epoch, trials.c.mlflow_run_id
        ).where(own)
        ends = [
            select(func.count(), func.max(table.c.number)).where(table.c.study == study)
            for table in (log, requests)
        ]
        with self._database.begin(reading=True) as connection:
            found = [
                connection.scalar(_plan_of(study)),
                *(list(connection.execute(end).one()) for end in ends),
                *(list(row) for row in connection.execute(states.order_by(trials.c.trial_id))),
            ]
        text = json.dumps(found, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _plan_of(study: str) -> Any:
    return select(studies.c.plan).where(studies.c.name == study)
