"""Records of trials, their epochs and the log of their study, in one database."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import insert, select, update

from handssl.errors import InputError
from handssl.ledger.claims import Claims
from handssl.ledger.load_samples import append_sample, now_ms, read_samples
from handssl.ledger.log import Ask, Asked, LogEntry, StudyLog, put_together
from handssl.ledger.record import EpochMetrics, TrialRecord
from handssl.ledger.studies import StudyPlans
from handssl.ledger.tables import LEDGER, log, points, requests, trials
from handssl.runtime.database import Database
from handssl.runtime.fencing import held
from handssl.runtime.retry import RetryPolicy, patient
from handssl.runtime.sqlite_url import sqlite_url

FILE = "ledger.db"


class Ledger:
    """The local record of every trial below one storage.

    Args:
        storage: Root of all results.
        url: URL of the database; default: $HANDSSL_LEDGER, else SQLite in the storage.

    Attributes:
        claims: Claims of processes on trials and studies.
        studies: The plan of each study.

    Raises:
        InputError: The URL is not valid.
        DataError: The database cannot be used.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Ledger(Path(folder)).all()
        ()
    """

    def __init__(self, storage: Path, url: str | None = None) -> None:
        self.storage = storage
        self._database = Database(url or default_ledger_url(storage), LEDGER)
        self.claims = Claims(self._database, trials=storage / "trials")
        self.studies = StudyPlans(self._database)

    @classmethod
    def existing(cls, storage: Path) -> Self:
        """Open the ledger of a storage that has one.

        Raises:
            InputError: The storage has no ledger; none is created.
        """
        if not has_results(storage):
            raise InputError(f"{storage}: expected results of a study, found none; run one first")
        return cls(storage)

    def folder(self, trial_id: str) -> Path:
        """Return the folder of a trial's files."""
        return self.storage / "trials" / trial_id

    def load(self, trial_id: str) -> TrialRecord | None:
        """Return a trial's record, None if it was never started."""
        found = self.load_all([trial_id])
        return found[0] if found else None

    def load_all(self, trial_ids: Sequence[str]) -> tuple[TrialRecord, ...]:
        """Return the records of the given trials that were started, ordered by trial id."""
        return self._select(self._database.among(trials.c.trial_id, trial_ids))

    def all(self, study: str | None = None) -> tuple[TrialRecord, ...]:
        """Return all records, or those of trials first run by a study, ordered by trial id."""
        return self._select() if study is None else self._select(trials.c.study == study)

    @patient
    def save(self, record: TrialRecord) -> None:
        """Replace a trial's record as a whole.

        Raises:
            TakenOverError: This process had claimed the study or the trial, and has lost it.
        """
        with self._database.begin() as connection:
            self.claims.require(connection, record.trial_id)
            self._database.put(connection, trials, record.model_dump(mode="json"))

    @patient
    def report(
        self, record: TrialRecord, metrics: Mapping[str, float], *entries: LogEntry
    ) -> TrialRecord:
        """Add an epoch to a trial and entries to its study's log in one transaction.

        Args:
            record: The trial, with the number of the epoch that has ended.
            metrics: Metrics of that epoch, by name.
            entries: Entries for the log.

        Returns:
            The current record; an epoch that is already stored is not changed.

        Raises:
            TakenOverError: This process had claimed the study or the trial, and has lost it.
        """
        with self._database.begin() as connection:
            self.claims.require(connection, record.trial_id)
            row = _point(record.trial_id, record.epoch, metrics)
            if self._database.add(connection, points, row):
                record = record.model_copy(update={"metrics": dict(metrics)})
                self._database.put(connection, trials, record.model_dump(mode="json"))
            else:
                known = _records(connection, trials.c.trial_id == record.trial_id)
                record = known[0] if known else record
            self._add_entries(connection, entries)
        return record

    @patient
    def append_epoch(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add an epoch; one that is already stored is not changed."""
        with self._database.begin() as connection:
            self.claims.require(connection, trial_id)
            self._database.add(connection, points, _point(trial_id, epoch, metrics))

    def append_system(self, trial_id: str, number: int, metrics: dict[str, float]) -> None:
        """Add a sample of the machine's load to a file in the trial's folder.

        Raises:
            TakenOverError: This process had claimed the trial, and has lost it.
        """
        with held(self.claims.fence(trial_id)):
            append_sample(self.folder(trial_id), number, metrics)

    def system(self, trial_id: str) -> list[EpochMetrics]:
        """Return the samples of the machine's load taken so far, in order."""
        return read_samples(self.folder(trial_id))

    @patient
    def append(self, *entries: LogEntry) -> None:
        """Add entries to a study's log; those already stored are not changed.

        Raises:
            TakenOverError: This process had claimed the study, and has lost it.
        """
        with self._database.begin() as connection:
            self.claims.require(connection)
            self._add_entries(connection, entries)

    def history(self, trial_id: str) -> list[EpochMetrics]:
        """Return the epochs recorded so far, in order of epoch."""
        return self.histories([trial_id]).get(trial_id, [])

    @patient
    def histories(
        self, trial_ids: Sequence[str], metrics: Collection[str] | None = None
    ) -> dict[str, list[EpochMetrics]]:
        """Return the epochs of several trials at once, in order of epoch.

        Args:
            trial_ids: Ids of the trials.
            metrics: Names of the returned metrics, where an epoch has them; None: all. A large
                study has millions of values.
        """
        query = select(points).where(self._database.among(points.c.trial_id, trial_ids))
        found: dict[str, list[EpochMetrics]] = {}
        with self._database.begin(reading=True) as connection:
            for row in connection.execute(query.order_by(points.c.trial_id, points.c.epoch)):
                values = row.metrics
                if metrics is not None:
                    values = {name: values[name] for name in metrics if name in values}
                entry = EpochMetrics(epoch=row.epoch, metrics=values, time_ms=row.time_ms)
                found.setdefault(row.trial_id, []).append(entry)
        return found

    @patient
    def log(self, study: str, stage: str) -> StudyLog:
        """Return the log of a stage's scheduler, in order."""
        query = select(log).where(log.c.study == study, log.c.stage == stage).order_by(log.c.number)
        with self._database.begin(reading=True) as connection:
            rows = connection.execute(query).all()
        return tuple(
            LogEntry(row.study, row.stage, row.trial_id, row.kind, row.epoch, row.value)
            for row in rows
        )

    @patient
    def ask(self, study: str, kind: Ask, **detail: Any) -> None:
        """Store a request to a study; its driver checks for requests every second."""
        row = {"study": study, "kind": kind, "detail": detail, "time_ms": now_ms()}
        with self._database.begin() as connection:
            connection.execute(insert(requests).values(**row))

    @patient
    def asked(self, study: str) -> Asked:
        """Return all requests to a study, combined."""
        query = select(requests).where(requests.c.study == study).order_by(requests.c.number)
        with self._database.begin(reading=True) as connection:
            rows = connection.execute(query).all()
        return put_together((row.kind, row.detail) for row in rows)

    @patient
    def set_run(self, trial_id: str, mlflow_run_id: str) -> None:
        """Store the MLflow run of a trial, without changing anything else of its record.

        Raises:
            TakenOverError: This process had claimed the study or the trial, and has lost it.
        """
        change = update(trials).where(trials.c.trial_id == trial_id)
        with self._database.begin() as connection:
            self.claims.require(connection, trial_id)
            connection.execute(change.values(mlflow_run_id=mlflow_run_id))

    def be_patient(self, patience: RetryPolicy) -> None:
        """From now on retry while the database is not reachable; before, errors are raised."""
        self._database.patience = patience

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    @patient
    def _select(self, *conditions: Any) -> tuple[TrialRecord, ...]:
        with self._database.begin(reading=True) as connection:
            return _records(connection, *conditions)

    def _add_entries(self, connection: Any, entries: Sequence[LogEntry]) -> None:
        self._database.add_all(connection, log, [entry._asdict() for entry in entries])


def _records(connection: Any, *conditions: Any) -> tuple[TrialRecord, ...]:
    query = select(trials).where(*conditions).order_by(trials.c.trial_id)
    rows = connection.execute(query).mappings().all()
    return tuple(TrialRecord.model_validate(dict(row)) for row in rows)


def default_ledger_url(storage: Path) -> str:
    """Return the URL of a storage folder's ledger: $HANDSSL_LEDGER, else SQLite in the folder."""
    return os.environ.get("HANDSSL_LEDGER") or sqlite_url(storage / FILE)


def has_results(storage: Path) -> bool:
    """Return whether a storage has a ledger, without creating one."""
    return bool(os.environ.get("HANDSSL_LEDGER")) or (storage / FILE).is_file()


def _point(trial_id: str, epoch: int, metrics: Mapping[str, float]) -> dict[str, Any]:
    named = {"trial_id": trial_id, "epoch": epoch}
    return {**named, "metrics": dict(metrics), "time_ms": now_ms()}
