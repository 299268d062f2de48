"""Claims: each trial has one owner at a time, and a silent owner loses it."""

import subprocess
import sys

from handssl.ledger.claims import Claims
from handssl.ledger.tables import LEDGER
from handssl.runtime.database import Database

NAMES = [f"{n:016x}" for n in range(8)]


class Clock(Database):
    """A database whose clock the test sets."""

    time_s = 1000.0

    def now_s(self, connection):
        return self.time_s


def two(url):
    database = Clock(url, LEDGER)
    return database, *(Claims(database, owner=name, lease_s=60.0) for name in ("one", "two"))


def test_a_trial_that_one_has_claimed_is_not_given_to_another(ledger_url):
    _, one, two_ = two(ledger_url)
    assert one.take(NAMES[:3]) == set(NAMES[:3])
    assert two_.take(NAMES[2:5]) == set(NAMES[3:5])
    assert one.take(NAMES) == {*NAMES[:3], *NAMES[5:]}
    assert one.holders() == {n: "two" if n in NAMES[3:5] else "one" for n in NAMES}


def test_a_lease_ends_unless_it_is_renewed(ledger_url):
    database, one, two_ = two(ledger_url)
    one.take(NAMES[:2])
    database.time_s += 59.0
    assert one.renew() == set(NAMES[:2])
    database.time_s += 59.0
    assert two_.take(NAMES[:2]) == set()
    database.time_s += 2.0
    assert two_.take(NAMES[:1]) == set(NAMES[:1])
    assert one.renew() == set(NAMES[1:2])


def test_what_is_released_can_be_claimed_at_once(ledger_url):
    _, one, two_ = two(ledger_url)
    one.take(NAMES[:3])
    one.release(NAMES[:1])
    two_.release(NAMES[1:2])  # not its own: nothing happens
    assert two_.take(NAMES[:3]) == set(NAMES[:1])
    one.release()
    assert two_.take(NAMES[:3]) == set(NAMES[:3])


RACER = """
import sys
from handssl.ledger.claims import Claims
from handssl.ledger.tables import LEDGER
from handssl.runtime.database import Database
claims = Claims(Database(sys.argv[1], LEDGER))
print("ready", flush=True)
sys.stdin.read(1)
got = [name for name in sys.argv[2:] if claims.take([name])]
print(" ".join(got), flush=True)
"""


def test_processes_that_race_for_trials_get_each_once(ledger_url):
    Database(ledger_url, LEDGER).close()
    names = [f"{n:016x}" for n in range(60)]
    words = [sys.executable, "-c", RACER, ledger_url, *names]
    racers = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("g")
        racer.stdin.flush()
    got = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert sorted(name for names in got for name in names) == names
    assert all(racer.returncode == 0 for racer in racers)
