"""The ledger: claims, reported metrics and decisions in one transactional database.

SQLite in the storage on one machine, PostgreSQL by URL for a cluster. The ledger is authoritative;
MLflow only displays.
"""

from handssl.tracking.ledger.claims import Claims
from handssl.tracking.ledger.ledger import Ledger, has_results
from handssl.tracking.ledger.log import LogEntry, StudyLog
from handssl.tracking.ledger.patience import RetryPolicy

__all__ = ["Claims", "Ledger", "LogEntry", "RetryPolicy", "StudyLog", "has_results"]
