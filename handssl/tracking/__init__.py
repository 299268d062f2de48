"""MLflow, and the ledger that decides."""

from handssl.tracking.ledger import Ledger
from handssl.tracking.record import EpochMetrics, TrialRecord

__all__ = ["EpochMetrics", "Ledger", "TrialRecord"]
