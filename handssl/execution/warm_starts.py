"""Shorter runs that trials continue from: under `wsd`, more epochs don't need a new start."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from handssl.ledger import Ledger
from handssl.study.trials import PlannedTrial
from handssl.training.branch import is_shorter


def warm_starts(trials: Iterable[PlannedTrial], ledger: Ledger) -> dict[str, Path]:
    """Return for each trial the folder of the same run with fewer epochs, if there is one.

    Of several runs, the one with the most epochs is chosen. The trial itself checks whether it can
    use that state: data and learning rate must have been the same so far.

    Args:
        trials: Trials of any kind.
        ledger: Ledger with the records of all runs.
    """
    able = [t for t in trials if t.kind == "trial" and t.config.optimizer.schedule == "wsd"]
    if not able:
        return {}
    known = sorted(ledger.all(), key=lambda record: record.epoch)
    found = {}
    for trial in able:
        config = trial.config.model_dump(mode="json")
        for record in known:
            if record.config and is_shorter(record.config, config):
                found[trial.trial_id] = ledger.folder(record.trial_id)
    return found
