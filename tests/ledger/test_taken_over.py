"""A process that has lost a claim records nothing more, and a suspended one blocks no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from handssl.errors import DatabaseAwayError, InputError, TakenOverError
from handssl.ledger import Ledger, LogEntry
from handssl.ledger.claims import default_lease_s, study_key
from handssl.runtime import database_engines
from handssl.runtime.fencing import Fence
from handssl.runtime.retry import RetryPolicy
from tests.ledger.conftest import ID

STUDY = study_key("s")
ENTRY = LogEntry("s", "objectives", ID, "reported", 1, 70.0)


@pytest.fixture
def first(ledger):
    """A driver whose lease is over as soon as it has claimed something."""
    ledger.claims.lease_s = -1.0
    assert ledger.claims.take([STUDY]) and ledger.claims.take([ID])
    return ledger


@pytest.fixture
def second(tmp_path, ledger_url):
    opened = Ledger(tmp_path, ledger_url)
    yield opened
    opened.close()


def test_a_lease_that_is_over_and_was_not_taken_over_is_no_loss(first, record):
    first.report(record(epoch=1), {"median_mm": 70.0}, ENTRY)
    assert [row.epoch for row in first.history(ID)] == [1]


@pytest.mark.parametrize("then", ["it works on it", "it has ended it"])
def test_an_epoch_of_a_trial_that_was_taken_over_is_not_recorded(first, second, record, then):
    assert second.claims.take([ID])
    if then == "it has ended it":
        second.report(record(epoch=1), {"median_mm": 60.0})
        second.claims.release([ID])
    for write in (
        lambda: first.report(record(epoch=2), {"median_mm": 70.0}),
        lambda: first.save(record(outcome="failed")),
        lambda: first.append_epoch(ID, 2, {"median_mm": 70.0}),
        lambda: first.set_run(ID, "run"),
    ):
        with pytest.raises(TakenOverError, match=f"has taken {ID} over"):
            write()
    assert [row.epoch for row in second.history(ID)] == ([1] if "ended" in then else [])


def test_a_driver_that_has_lost_its_study_records_nothing_of_it(first, second, record):
    assert second.claims.take([STUDY])
    for write in (
        lambda: first.append(ENTRY),
        lambda: first.save(record(trial_id="f" * 16)),
        first.claims.require_now,
    ):
        with pytest.raises(TakenOverError, match="has taken the study over"):
            write()
    assert second.log("s", "objectives") == ()
    assert second.all() == ()


def test_what_was_released_is_not_lost(first, second, record):
    first.claims.release([ID])
    assert second.claims.take([ID])
    first.append(ENTRY)
    first.claims.require_now()


def test_each_claim_of_a_trial_has_a_token_of_its_own_in_its_folder(first, second, tmp_path):
    old = first.claims.fence(ID)
    assert not old.is_lost()
    first.claims.release([ID])
    assert first.claims.take([ID])
    assert old.is_lost()  # also of an earlier process of the same driver
    mine = first.claims.fence(ID)
    assert second.claims.take([ID])
    assert mine.is_lost()
    assert not second.claims.fence(ID).is_lost()
    assert mine.folder == tmp_path / "trials" / ID
    assert second.claims.fence(STUDY) is None


def test_a_sample_is_not_added_to_a_folder_that_was_lost(first, second):
    first.append_system(ID, 0, {"system/x": 1.0})
    assert second.claims.take([ID])
    with pytest.raises(TakenOverError):
        first.append_system(ID, 1, {"system/x": 2.0})
    assert [row.metrics for row in second.system(ID)] == [{"system/x": 1.0}]


def test_a_trial_whose_folder_a_suspended_writer_keeps_is_not_claimed(first, second, monkeypatch):
    monkeypatch.setattr("handssl.runtime.fencing.CLAIM_LIMIT_S", 0.1)
    with first.claims.fence(ID).held():
        assert second.claims.take([ID]) == set()
        assert ID not in second.claims.holders()
    assert second.claims.take([ID]) == {ID}


def test_a_claim_that_was_overtaken_on_its_way_leaves_the_token_of_the_other(
    first, second, monkeypatch
):
    """Suspended between the row and the folder: another one claims meanwhile."""
    take = Fence.take

    def late(fence, may):
        monkeypatch.setattr(Fence, "take", take)
        assert second.claims.take([ID])
        return take(fence, may)

    monkeypatch.setattr(Fence, "take", late)
    assert first.claims.take([ID]) == set()
    assert not second.claims.fence(ID).is_lost()


@pytest.mark.parametrize("text", ["", "90", "1.5"])
def test_the_lease_can_be_set(monkeypatch, text):
    monkeypatch.setenv("HANDSSL_LEASE", text)
    assert default_lease_s() == float(text or 60)


@pytest.mark.parametrize("text", ["a minute", "0", "nan", "inf", "-3"])
def test_a_lease_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv("HANDSSL_LEASE", text)
    with pytest.raises(InputError, match=r"\$HANDSSL_LEASE: expected seconds"):
        default_lease_s()


STANDS_STILL = """
import sys
from handssl.errors import HandsslError
from handssl.ledger.tables import LEDGER
from handssl.runtime import database as databases, database_engines as engines
from handssl.runtime.retry import RetryPolicy
engines.BUSY_S = 1.0
database = databases.Database(sys.argv[1], LEDGER)
try:
    with database.begin() as connection:
        database.alone(connection, "claims", shared=True)
        print("inside", flush=True)
        sys.stdin.read()
        database.now_s(connection)
except HandsslError as error:
    sys.exit(error.exit_code)
"""


@pytest.fixture
def still(ledger, ledger_url, monkeypatch):
    """A process that was suspended in the middle of a transaction."""
    monkeypatch.setattr(database_engines, "BUSY_S", 0.3)
    process = subprocess.Popen(
        [sys.executable, "-c", STANDS_STILL, ledger_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout.readline() == "inside\n"
    psutil.Process(process.pid).suspend()
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_ledger_that_a_suspended_process_keeps_is_waited_for_and_opened(
    still, tmp_path, ledger_url
):
    waited = Ledger(tmp_path, ledger_url)  # which waits for nobody
    assert waited.all() == ()
    said = []

    def resume(text):
        said.append(text)
        if "sqlite" in ledger_url:  # PostgreSQL ends the transaction itself
            psutil.Process(still.pid).resume()
            still.stdin.close()

    waited.be_patient(RetryPolicy(resume, pause_s=0.1, limit_s=30.0))
    assert waited.claims.take([ID]) == {ID}
    assert len(said) == 1
    assert "lock" in said[0]
    waited.close()
    if "postgresql" in ledger_url:
        psutil.Process(still.pid).resume()
        still.stdin.close()
    assert still.wait(30) == (0 if "sqlite" in ledger_url else 69)


def test_one_that_is_not_patient_ends_with_the_code_of_what_can_be_tried_again(
    still, tmp_path, ledger_url
):
    waiting = Ledger(tmp_path, ledger_url)
    with pytest.raises(DatabaseAwayError, match="lock") as caught:
        waiting.claims.take([ID])
    assert caught.value.exit_code == 69
    waiting.close()
