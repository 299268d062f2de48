"""However many trials a study has, its ledger is read and written: databases limit parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert

from handssl.ledger import Ledger, LogEntry
from handssl.ledger.claims import Claims
from handssl.ledger.tables import LEDGER, points, trials
from handssl.runtime.database import Database
from handssl.study.study import Study
from handssl.study.trials import plan_study, stage_scheduler

MANY = 70_001  # PostgreSQL takes 65,535 parameters
pytestmark = pytest.mark.usefixtures("sqlite_as_upstream_ships_it")


def ids(count):
    return [f"{number:016x}" for number in range(count)]


def test_a_log_takes_any_number_of_entries_at_once_in_order_and_each_once(ledger):
    entries = tuple(LogEntry("s", "one", name, "reported", 1, 2.5) for name in ids(MANY // 6 + 1))
    ledger.append(*entries)
    assert ledger.log("s", "one") == entries
    ledger.append(*entries)
    assert ledger.log("s", "one") == entries


def test_any_number_of_trials_is_asked_for_at_once(ledger, record):
    wanted = [ids(MANY)[place] for place in (0, 40_000, MANY - 1)]
    for name in wanted:
        ledger.save(record(trial_id=name))
        ledger.append_epoch(name, 1, {"median_mm": 3.0})
    assert [found.trial_id for found in ledger.load_all(ids(MANY))] == wanted
    assert list(ledger.histories(ids(MANY))) == wanted
    assert (ledger.load_all([]), ledger.histories([])) == ((), {})


def test_any_number_of_trials_is_claimed_and_released_at_once(ledger_url):
    names, database = ids(MANY // 3 + 1), Database(ledger_url, LEDGER)
    claims = Claims(database)  # without folders: drivers claim trials with folders one at a time
    assert claims.take(names) == set(names)
    claims.release(names[1:])
    assert list(claims.holders()) == names[:1]
    claims.release(ids(MANY))
    assert claims.holders() == {}
    database.close()


def test_a_study_goes_on_that_has_more_than_8192_finished_trials(ledger_url, tmp_path):
    study = Study.parse(
        {
            "name": "large",
            "cells": [{"composition": "blur"}],
            "pretrain": {"epochs": 9, "optimizer": {"warmup_epochs": 1}},
            "halving": {"grace_epochs": 3, "reduction_factor": 3.0},
            "references": False,
            "blocks": [1],
        }
    )
    (first,) = plan_study(study, "data")  # planning each takes longer than all else here
    planned = tuple(
        replace(first, trial_id=name, block=number) for number, name in enumerate(ids(8_193), 1)
    )
    finish(ledger_url, planned)
    ledger = Ledger(tmp_path, ledger_url)
    scheduler = stage_scheduler(study, "objectives", planned, ledger)
    assert scheduler.missing == ()
    written = ledger.log("large", "objectives")
    assert len(written) == 2 * len(planned)
    stage_scheduler(study, "objectives", planned, ledger)
    assert ledger.log("large", "objectives") == written
    ledger.close()


def finish(url, planned):
    """Write all trials as another driver has left them: completed, nothing in the log."""
    rows, epochs = [], []
    for trial in planned:
        metrics = {"median_mm": 20.0}
        rows.append(
            {
                "trial_id": trial.trial_id,
                "study": "large",
                "stage": "objectives",
                "cell": trial.cell,
                "composition": "blur",
                "objective": trial.objective,
                "block": trial.block,
                "outcome": "completed",
                "epoch": 9,
                "epochs": 9,
                "metrics": metrics,
                "tags": {},
                "config": {},
            }
        )
        named = {"trial_id": trial.trial_id, "metrics": metrics, "time_ms": 0}
        epochs += [named | {"epoch": epoch} for epoch in (3, 9)]
    database = Database(url, LEDGER)
    with database.begin() as connection:
        connection.execute(insert(trials), rows)
        connection.execute(insert(points), epochs)
    database.close()
