"""The queue's tables.

jobs     one row per job: a study as data, and its state
events   history of each job, in order, never changed once written
leases   the holder of the dispatcher's lease, and until when
tokens   users of the service, with hashed tokens
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, MetaData, String, Table, Text

from handssl.runtime.database import Schema

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("queue", String(32), nullable=False),
    Column("user", String(64), nullable=False),
    Column("study", String(64), nullable=False, index=True),
    Column("key", String(64), nullable=False, index=True),
    Column("document", JSON, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("wanted", String(8), nullable=False, default=""),
    Column("attempt", Integer, nullable=False, default=0),
    Column("lost", Integer, nullable=False, default=0),
    Column("retries", Integer, nullable=False),
    Column("time_limit_s", Float),
    Column("gpu_hours", Float),
    Column("submitted_s", Float, nullable=False, index=True),
    Column("started_s", Float),
    Column("ended_s", Float),
    Column("used_s", Float, nullable=False, default=0.0),
    Column("cause", String(16), nullable=False, default=""),
    Column("message", Text, nullable=False, default=""),
)
# With this index the next job is found by one seek in a queue of any length.
order = (jobs.c.priority.desc(), jobs.c.submitted_s, jobs.c.id)
Index("jobs_next", jobs.c.state, *order)

events = Table(
    "job_events",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("job", String(16), nullable=False, index=True),
    Column("time_s", Float, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("message", Text, nullable=False, default=""),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until_s", Float, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_s", Float, nullable=False),
    Column("revoked_s", Float),
)

# Raise the version when a table changes; an older queue is then refused with advice on what to do.
SCHEMA = Schema("queue", metadata, 1, "service")
