"""The database below the ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from handssl.ledger.tables import LEDGER
from handssl.runtime.database import Database

AT_ONCE = 8


def test_all_who_open_a_new_database_at_the_same_moment_get_it(ledger_url):
    ready = Barrier(AT_ONCE)

    def opened(_):
        ready.wait()
        return Database(ledger_url, LEDGER)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for database in pool.map(opened, range(AT_ONCE)):
            database.close()
