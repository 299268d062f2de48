"""The plan of each study at its first run, and changes since then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from handssl.ledger.tables import studies
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


def _plan_of(study: str) -> Any:
    return select(studies.c.plan).where(studies.c.name == study)
