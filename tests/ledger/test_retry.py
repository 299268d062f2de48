"""A server that goes away is waited for, and what was under way is there once afterwards."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager

import pytest

from handssl.errors import DatabaseAwayError, DataError
from handssl.ledger import Ledger, LogEntry
from handssl.ledger.tables import LEDGER
from handssl.runtime.database import Database
from handssl.runtime.retry import RetryPolicy
from tests.postgresql import postgres_server

ID = "0123456789abcdef"


def away(times):
    """Return work that finds the database away so many times."""
    left = list(range(times))

    def work():
        if left:
            left.pop()
            raise DatabaseAwayError("away")
        return "done"

    return work


def test_an_outage_is_reported_once_and_the_next_one_again():
    said = []
    patience = RetryPolicy(said.append, pause_s=0.0)
    assert [patience.call(away(3)), patience.call(away(2))] == ["done", "done"]
    assert said == ["waiting, up to 10 minutes: away"] * 2


def test_another_thread_waits_too_and_leaves_the_telling_to_the_first():
    said, found = [], []
    patience = RetryPolicy(said.append, pause_s=0.0)
    thread = threading.Thread(target=lambda: found.append(patience.call(away(2))))
    thread.start()
    thread.join()
    assert (said, found) == ([], ["done"])


def test_when_patience_is_over_every_later_attempt_fails_at_once():
    tried = []

    def work():
        tried.append(1)
        raise DatabaseAwayError("away")

    patience = RetryPolicy(lambda text: None, limit_s=0.0, pause_s=60.0)
    for _ in range(2):
        with pytest.raises(DatabaseAwayError) as caught:
            patience.call(work)
    assert (len(tried), caught.value.exit_code) == (2, 69)


def test_who_must_stop_does_not_wait():
    patience = RetryPolicy(lambda text: None, lambda: True, pause_s=60.0)
    with pytest.raises(DatabaseAwayError):
        patience.call(away(1))


@pytest.mark.faults
def test_what_a_server_refuses_is_no_outage(tmp_path):
    with closing(postgres_server()) as server:
        for url in (
            server.url.replace("/postgres?", "/missing?"),
            server.url.replace("postgres@", "nobody@"),
        ):
            with pytest.raises(DataError, match="does not exist") as caught:
                Ledger(tmp_path, url)
            assert caught.value.exit_code == 3


@pytest.mark.faults
def test_everything_goes_on_after_a_server_was_killed_and_started_again(tmp_path, record):
    with closing(postgres_server()) as server:
        ledger, said = Ledger(tmp_path, server.url), []
        ledger.claims.take([ID])

        def start_again(text):
            said.append(text)
            server.start()

        ledger.be_patient(RetryPolicy(start_again, pause_s=0.0))
        for ask in (lambda: ledger.save(record()), lambda: ledger.load(ID), ledger.claims.renew):
            server.kill()
            ask()
        assert ledger.load(ID) == record()
        assert ledger.claims.renew() == {ID}
        ledger.close()
    assert len(said) == 3
    assert said[0].startswith("waiting, up to 10 minutes: ledger postgresql://")


@pytest.mark.faults
def test_a_server_that_is_killed_in_the_middle_of_a_transaction_is_away(tmp_path):
    with closing(postgres_server()) as server:
        database = Database(server.url, LEDGER)

        def interrupted():
            with database.begin() as connection:
                server.kill()
                database.now_s(connection)

        with pytest.raises(DatabaseAwayError):
            interrupted()
        database.close()


class Deaf(Database):
    """A database whose answer to the next commit is lost."""

    is_deaf = False

    @contextmanager
    def begin(self, *, reading=False):
        with super().begin(reading=reading) as connection:
            yield connection
        if self.is_deaf:
            self.is_deaf = False
            raise DatabaseAwayError("the answer was lost")


def test_what_was_written_though_the_answer_was_lost_is_there_once(
    ledger_url, record, tmp_path, monkeypatch
):
    monkeypatch.setattr("handssl.ledger.ledger.Database", Deaf)
    ledger = Ledger(tmp_path, ledger_url)
    ledger.be_patient(RetryPolicy(lambda text: None, pause_s=0.0))
    one = LogEntry("s", "objectives", ID, "reported", 1, 70.0)
    ledger.save(record(metrics={"median_mm": 90.0}))
    ledger._database.is_deaf = True
    found = ledger.report(record(epoch=1, metrics={"median_mm": 90.0}), {"median_mm": 70.0}, one)
    assert found == ledger.load(ID) == record(epoch=1, metrics={"median_mm": 70.0})
    assert [row.epoch for row in ledger.history(ID)] == [1]
    ledger._database.is_deaf = True
    ledger.append(one)
    assert ledger.log("s", "objectives") == (one,)
    ledger._database.is_deaf = True
    assert ledger.claims.take([ID]) == {ID}
    ledger.close()
