"""What is started next, against a naive reference, and that two dispatchers start nothing twice."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handssl.errors import DataError
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.errors import LostLeaseError
from handssl.service.queue.admission import Limits, admit
from handssl.service.queue.job import JobRequest
from handssl.service.queue.lease import Lease
from handssl.service.queue.listing import history
from handssl.service.queue.queue import Queue
from tests.service.services import study

jobs = st.lists(
    st.tuples(
        st.sampled_from(["ada", "bob", "eve"]),
        st.sampled_from(["day", "night", "gone"]),
        st.integers(-2, 2),
        st.sampled_from(["s", "t", ""]),
    ),
    max_size=12,
)


def naive(waiting, queues, per_user):
    """Go through the jobs from the highest priority down and take whatever fits."""
    taken = []
    for job in sorted(waiting, key=lambda one: (-one["priority"], one["number"])):
        same_queue = sum(one["queue"] == job["queue"] for one in taken)
        same_user = sum(one["user"] == job["user"] for one in taken)
        is_free = all(one["study"] != job["study"] for one in taken)
        if same_queue < queues.get(job["queue"], 0) and same_user < (per_user or 99) and is_free:
            taken.append(job)
    return [job["number"] for job in taken]


@given(jobs, st.integers(1, 3), st.integers(1, 3), st.sampled_from([None, 1, 2]))
@settings(max_examples=60, deadline=None)
def test_the_highest_priority_goes_first_within_the_limits(given_jobs, day, night, per_user):
    queue = Queue("sqlite://", queues=("day", "night", "gone"))
    waiting, numbers = [], {}
    for number, (user, name, priority, shared) in enumerate(given_jobs):
        # A name belongs to its first user.
        called = f"{user}-{shared}" if shared else f"own{number}"
        request = JobRequest(study=study(called), queue=name, priority=priority, again=True)
        numbers[queue.submit([request], user=user)[0][0].id] = number
        waiting.append(
            {"number": number, "user": user, "queue": name, "priority": priority, "study": called}
        )
    lease, queues = Lease(queue.database), {"day": day, "night": night}
    assert lease.take()
    admitted = admit(queue, lease, Limits(queues, per_user), lambda *_: None)
    assert [numbers[job.id] for job in admitted] == naive(waiting, queues, per_user)
    assert all(job.state == "running" and job.attempt == 1 for job in admitted)
    assert admit(queue, lease, Limits(queues, per_user), lambda *_: None) == []
    queue.database.close()


def test_what_fails_while_a_job_is_started_leaves_it_in_the_queue(queue):
    [(job, _)] = queue.submit([JobRequest(study=study())], user="ada")
    lease = Lease(queue.database)
    assert lease.take()

    def fail(connection, job):
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        admit(queue, lease, Limits(), fail)
    assert queue.get(job.id).state == "queued"
    assert [one.state for one in history(queue, job.id)] == ["queued"]


def test_who_has_lost_the_lease_starts_nothing(queue):
    queue.submit([JobRequest(study=study())], user="ada")
    sleeper, other = Lease(queue.database, lease_s=0.01), Lease(queue.database)
    assert sleeper.take()
    while not other.take():
        pass
    with pytest.raises(LostLeaseError):
        admit(queue, sleeper, Limits(), lambda *_: None)
    assert queue.depth() == {("default", "queued"): 1}
    assert not sleeper.take()
    assert other.holder() == other.me
    other.release()
    assert sleeper.take()


PROGRAM = """
import sys
from handssl.service.queue.admission import Limits, admit
from handssl.service.errors import LostLeaseError
from handssl.service.queue.lease import Lease
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.queue.queue import Queue

queue = Queue(sys.argv[1])
lease = Lease(queue.database, lease_s=0.05)  # changes hands all the time
print("ready", flush=True)
sys.stdin.readline()
while any(state in ("queued", "running") for _, state in queue.depth()):
    if not lease.take():
        continue
    try:
        for job in admit(queue, lease, Limits({"default": 4}), lambda *_: None):
            print(job.id, flush=True)
            finish(queue, job.id, job.attempt, Outcome("exited", 0))
    except LostLeaseError:
        pass
"""


def test_two_dispatchers_whose_lease_changes_hands_start_every_job_once(queue_url):
    queue = Queue(queue_url)
    requests = [JobRequest(study=study(f"s{number}")) for number in range(40)]
    names = sorted(job.id for job, _ in queue.submit(requests, user="ada"))
    words = [sys.executable, "-c", PROGRAM, queue_url]
    root = str(Path(__file__).parents[2])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": root}
    processes = [subprocess.Popen(words, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    started = [process.communicate(timeout=90)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(started[0] + started[1]) == names
    for name in names:
        assert [one.state for one in history(queue, name)] == ["queued", "running", "succeeded"]
    queue.database.close()


def test_running_time_of_attempts_adds_up(queue):
    [(job, _)] = queue.submit([JobRequest(study=study(), retries=1)], user="ada")
    lease = Lease(queue.database)
    assert lease.take()
    for attempt in (1, 2):
        [job] = admit(queue, lease, Limits(), lambda *_: None)
        job = finish(queue, job.id, attempt, Outcome("lost", message="gone", ran_s=attempt))
    assert (job.state, job.cause, job.lost) == ("failed", "lost", 1)
    assert job.message == "gone, after 2 attempts"
    assert job.used_s == 1 + 2


def test_who_keeps_the_lease_while_it_ends_is_not_overtaken(queue):
    lease, other = Lease(queue.database, lease_s=3.0), Lease(queue.database)
    assert lease.take()
    until_s = time.monotonic() + 4.0
    with lease.kept():
        while time.monotonic() < until_s:
            assert not other.take()
            time.sleep(0.2)  # the lease would be over in between
    assert other.take()


@pytest.mark.parametrize("queue_url", ["postgresql"], indirect=True)
def test_one_that_stands_still_in_a_transaction_is_overtaken(queue_url):
    queue = Queue(queue_url)
    still, other = Lease(queue.database, lease_s=0.5), Lease(queue.database)
    assert still.take()
    with pytest.raises(DataError), queue.database.begin() as connection:
        assert still.holds(connection)
        while not other.take():  # each waits until the server has ended the other transaction
            pass
        still.holds(connection)
    assert other.holder() == other.me
    queue.database.close()
