"""MLflow for display, and the ledger as the authoritative record."""

from handssl.tracking.ledger import Ledger
from handssl.tracking.record import EpochMetrics, TrialRecord

__all__ = ["EpochMetrics", "Ledger", "TrialRecord"]
