"""The best encoder among trials."""

from __future__ import annotations

from collections.abc import Iterable

from handssl.ledger.record import TrialRecord


def best_encoder(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return the record with the least median error on `select`; None if none has one.

    Supervised references are skipped unless there is nothing else: they are not pretrained.

    Args:
        records: Records of completed trials with an encoder.
    """
    known = [record for record in records if "median_mm" in record.metrics]
    pretrained = [record for record in known if record.objective != "supervised"]
    return min(pretrained or known, key=lambda r: r.metrics["median_mm"], default=None)
