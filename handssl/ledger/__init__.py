"""The ledger: claims, reported metrics and decisions in one transactional database.

SQLite in the storage on one machine, PostgreSQL by URL for a cluster. The ledger is authoritative;
MLflow only displays.
"""

from handssl.ledger.claims import Claims
from handssl.ledger.ledger import Ledger, has_results
from handssl.ledger.log import LogEntry, StudyLog
from handssl.ledger.record import EpochMetrics, TrialRecord

__all__ = [
    "Claims",
    "EpochMetrics",
    "Ledger",
    "LogEntry",
    "StudyLog",
    "TrialRecord",
    "has_results",
]
