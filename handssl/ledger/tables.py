"""The ledger's tables.

trials   one row per trial, under its trial_id: its current state
claims   one row per claim on a trial or a study: its owner, and until when it holds
points   one row per epoch of a trial, never changed once written
log      events seen by a study's scheduler, in order, never changed once written
studies  one row per study: its plan
requests requests to a study, in order, never changed once written
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from handssl.runtime.database import Schema

# Raise it when a table changes; an older ledger is then refused with advice on what to do.
SCHEMA_VERSION = 2

metadata = MetaData()

trials = Table(
    "trials",
    metadata,
    Column("trial_id", String(64), primary_key=True),
    Column("study", String(64), nullable=False, index=True),
    Column("stage", String(64), nullable=False),
    Column("cell", String(200), nullable=False),
    Column("composition", String(200), nullable=False),
    Column("objective", String(32), nullable=False),
    Column("block", Integer, nullable=False),
    Column("outcome", String(16), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("mlflow_run_id", String(64)),
    Column("tags", JSON, nullable=False),
    Column("config", JSON, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("trial_id", String(64), primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("until_s", Float, nullable=False),
)

points = Table(
    "points",
    metadata,
    Column("trial_id", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("metrics", JSON, nullable=False),
    Column("time_ms", BigInteger),
)

log = Table(
    "log",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("study", String(64), nullable=False),
    Column("stage", String(64), nullable=False),
    Column("trial_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("value", Float),
    UniqueConstraint("study", "stage", "trial_id", "kind", "epoch"),
)

studies = Table(
    "studies",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("plan", JSON, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("study", String(64), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)

LEDGER = Schema("ledger", metadata, SCHEMA_VERSION, "schema")
