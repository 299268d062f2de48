"""The ledger: whole, in order, each epoch and each entry once, on SQLite and PostgreSQL."""

import sqlite3
import subprocess
import sys

import pytest

from handssl.errors import DataError, InputError
from handssl.ledger import Ledger, LogEntry

ID = "0123456789abcdef"


def entry(epoch, value=None, kind="reported", trial_id=ID):
    return LogEntry("s", "objectives", trial_id, kind, epoch, value)


def test_a_record_is_read_as_it_was_written(ledger, record):
    written = record(metrics={"median_mm": 61.25}, tags={"message": "ü"}, config={"a": {"b": [1]}})
    ledger.save(written)
    assert ledger.load(ID) == written
    assert ledger.all() == (written,)
    assert ledger.all("s") == (written,)
    assert ledger.all("another") == ()


def test_a_trial_that_was_never_started_has_no_record(ledger):
    assert ledger.load(ID) is None
    assert ledger.history(ID) == []


def test_saving_again_replaces_the_record_as_a_whole(ledger, record):
    ledger.save(record(tags={"message": "first"}, mlflow_run_id="r"))
    ledger.save(record(outcome="completed"))
    assert ledger.load(ID) == record(outcome="completed")


def test_each_epoch_is_recorded_once_and_the_first_value_stays(ledger, record):
    ledger.report(record(epoch=1), {"median_mm": 70.0})
    ledger.report(record(epoch=2), {"median_mm": 65.0})
    ledger.report(record(epoch=1), {"median_mm": 1.0})
    assert [(e.epoch, e.metrics["median_mm"]) for e in ledger.history(ID)] == [(1, 70.0), (2, 65.0)]
    assert ledger.load(ID).epoch == 2
    assert ledger.load(ID).metrics == {"median_mm": 65.0}


def test_the_log_keeps_the_order_of_arrival_and_each_entry_once(ledger, record):
    others = ("f" * 16, "a" * 16)
    ledger.append(entry(1, 70.0, trial_id=others[0]))
    ledger.report(record(epoch=1), {"median_mm": 70.0}, entry(1, 70.0))
    ledger.append(entry(1, 71.0), entry(1, 69.0, trial_id=others[1]))
    ledger.append(entry(1, kind="diverged", trial_id=others[1]))
    found = ledger.log("s", "objectives")
    assert [(e.trial_id, e.kind, e.value) for e in found] == [
        (others[0], "reported", 70.0),
        (ID, "reported", 70.0),
        (others[1], "reported", 69.0),
        (others[1], "diverged", None),
    ]
    assert ledger.log("s", "another") == ()


def test_the_run_of_a_trial_is_remembered_beside_a_change_of_its_record(ledger, record):
    ledger.save(record())
    ledger.set_run(ID, "run")
    assert ledger.load(ID).mlflow_run_id == "run"


def test_histories_of_many_trials_come_with_one_question(ledger, record):
    for number in range(3):
        name = f"{number:016x}"
        for epoch in (1, 2):
            ledger.report(record(trial_id=name, epoch=epoch), {"median_mm": 10.0 * number + epoch})
    found = ledger.histories([f"{n:016x}" for n in range(3)])
    assert {name: [e.metrics["median_mm"] for e in rows] for name, rows in found.items()} == {
        f"{n:016x}": [10.0 * n + 1, 10.0 * n + 2] for n in range(3)
    }


WRITER = """
import sys
from pathlib import Path
from handssl.ledger import TrialRecord
from handssl.ledger import Ledger, LogEntry
folder, url, record = sys.argv[1:]
ledger = Ledger(Path(folder), url)
record = TrialRecord.model_validate_json(record)
print("ready", flush=True)
sys.stdin.read(1)
for epoch in range(1, 100000):
    value = {"median_mm": float(epoch)}
    entry = LogEntry("s", "objectives", record.trial_id, "reported", epoch, float(epoch))
    ledger.report(record.model_copy(update={"epoch": epoch}), value, entry)
    print(epoch, flush=True)
"""


def test_what_a_killed_writer_was_reported_is_there_and_nothing_is_half_written(
    ledger_url, record, tmp_path
):
    words = [sys.executable, "-c", WRITER, str(tmp_path), ledger_url, record().model_dump_json()]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout.readline() == "ready\n"
        one.stdin.write("g")
        one.stdin.flush()
        told = [one.stdout.readline() for _ in range(25)]
        one.kill()
        told += one.stdout.read().splitlines()
    ledger = Ledger(tmp_path, ledger_url)
    found, log = ledger.history(ID), ledger.log("s", "objectives")
    assert len(found) >= len(told) >= 25
    assert [e.epoch for e in found] == [e.epoch for e in log] == list(range(1, len(found) + 1))
    assert ledger.load(ID).epoch == len(found)
    ledger.close()


def test_a_damaged_ledger_is_named_with_what_to_do(tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)
    with pytest.raises(DataError, match=r"ledger\.db.*restore it from a backup"):
        Ledger(tmp_path)


def test_a_ledger_of_another_version_is_refused(tmp_path, ledger):
    Ledger(tmp_path / "x").close()
    with sqlite3.connect(tmp_path / "x" / "ledger.db") as connection:
        connection.execute("UPDATE about SET value = '99'")
    with pytest.raises(DataError, match="version 2, found 99"):
        Ledger(tmp_path / "x")


@pytest.mark.parametrize("url", ["nonsense", "mysql://somewhere/db", "postgresql:/x:y:z@"])
def test_a_url_of_another_kind_is_refused(tmp_path, url):
    with pytest.raises((InputError, DataError), match="ledger"):
        Ledger(tmp_path, url)


def test_a_server_that_is_away_is_named_without_the_password(tmp_path):
    with pytest.raises(DataError, match="is the server up") as caught:
        Ledger(tmp_path, f"postgresql://me:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_a_storage_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another storage"):
        Ledger(tmp_path / "file" / "storage")
