"""The local record of every trial, and MLflow, which shows it."""

from handssl.tracking.record import EpochMetrics, TrialRecord, TrialStore

__all__ = ["EpochMetrics", "TrialRecord", "TrialStore"]
