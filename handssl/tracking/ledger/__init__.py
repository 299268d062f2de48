"""The ledger: what was claimed, reported and decided, in one transactional database.

SQLite in the storage on one machine, PostgreSQL by URL for a cluster. It decides; MLflow shows.
"""

from handssl.tracking.ledger.claims import Claims
from handssl.tracking.ledger.ledger import Ledger, has_results
from handssl.tracking.ledger.log import LogEntry, StudyLog
from handssl.tracking.ledger.patience import Patience

__all__ = ["Claims", "Ledger", "LogEntry", "Patience", "StudyLog", "has_results"]
