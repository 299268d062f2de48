"""The plan of each study, as it was when the study was first run, and what has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from handssl.tracking.ledger.database import Database
from handssl.tracking.ledger.tables import studies

Plan = dict[str, Any]


class StudyPlans:
    """What was registered before the first result of a study.

    Args:
        database: Of the ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep_plan(self, study: str, plan: Mapping[str, Any]) -> Plan:
        """Keep a study's plan unless it has one.

        Args:
            study: Name of the study.
            plan: JSON values.

        Returns:
            The plan that was kept first.
        """
        with self._database.begin() as connection:
            row = {"name": study, "plan": dict(plan), "asked": ""}
            if not self._database.add(connection, studies, row):
                kept = connection.scalar(select(studies.c.plan).where(studies.c.name == study))
                if kept:
                    return dict(kept)
                # Something was asked of the study before it had a plan.
                connection.execute(_change(study, plan))
        return dict(plan)

    def add_deviation(self, study: str, plan_hash: str, deviations: list[str]) -> None:
        """Remember that a study was run under another plan than its first; once for each plan."""
        with self._database.begin() as connection:
            kept = connection.scalar(select(studies.c.plan).where(studies.c.name == study))
            if not kept:
                return
            later = {**kept.get("later", {}), plan_hash: deviations}
            connection.execute(_change(study, {**kept, "later": later}))

    def plan(self, study: str) -> Plan | None:
        """Return the plan that a study was first run under, None if it never was."""
        query = select(studies.c.plan).where(studies.c.name == study)
        with self._database.begin(reading=True) as connection:
            found = connection.scalar(query)
        return dict(found) if found else None


def _change(study: str, plan: Mapping[str, Any]) -> Any:
    return update(studies).where(studies.c.name == study).values(plan=dict(plan))
