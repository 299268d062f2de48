"""The queue: what may be asked of a job in which state, and that nothing is queued twice."""

from __future__ import annotations

import threading

import pytest

from handssl.errors import InputError
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.errors import NoSuchJobError, NotNowError
from handssl.service.queue.admission import Limits, admit
from handssl.service.queue.job import JobRequest
from handssl.service.queue.lease import Lease
from handssl.service.queue.listing import Filter, history, page
from handssl.service.queue.queue import Queue
from tests.service.services import study

# state -> verb -> state afterwards; what is missing is refused. As the documentation has it.
ALLOWED = {
    "queued": {"cancel": "cancelled", "pause": "paused", "resume": "queued", "retry": "queued"},
    "paused": {"cancel": "cancelled", "resume": "queued", "pause": "paused"},
    "failed": {"retry": "queued"},
    "cancelled": {"retry": "queued", "cancel": "cancelled"},
    "succeeded": {},
}


def put(queue: Queue, name: str = "x", user: str = "ada", **values):
    return queue.submit([JobRequest(study=study(name), **values)], user=user)[0][0]


def bring(queue: Queue, state: str):
    """Return a job in a state, reached as jobs reach it."""
    job = put(queue, retries=0)
    if state in ("queued", "paused", "cancelled"):
        {"paused": queue.pause, "cancelled": queue.cancel}.get(state, queue.get)(job.id)
        return queue.get(job.id)
    lease = Lease(queue.database)
    assert lease.take()
    admit(queue, lease, Limits(), lambda *_: None)
    if state != "running":
        finish(queue, job.id, 1, Outcome("exited", 0 if state == "succeeded" else 2))
    return queue.get(job.id)


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry"])
@pytest.mark.parametrize("state", list(ALLOWED))
def test_each_verb_does_in_each_state_what_the_table_says(queue, state, verb):
    job = bring(queue, state)
    assert job.state == state
    if (after := ALLOWED[state].get(verb)) is None:
        with pytest.raises(NotNowError, match=f"is {state}"):
            getattr(queue, verb)(job.id)
        assert queue.get(job.id) == job
        return
    assert getattr(queue, verb)(job.id).state == after


@pytest.mark.parametrize(("verb", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_running_job_is_asked_and_changes_when_its_attempt_has_ended(queue, verb, state):
    job = bring(queue, "running")
    asked = getattr(queue, verb)(job.id)
    assert (asked.state, asked.wanted) == ("running", verb)
    ended = finish(queue, job.id, 1, Outcome("stopped", reason=verb))
    assert (ended.state, ended.wanted) == (state, "")


def test_a_job_that_succeeds_although_it_was_to_be_cancelled_has_succeeded(queue):
    job = bring(queue, "running")
    queue.cancel(job.id)
    assert finish(queue, job.id, 1, Outcome("exited", 0)).state == "succeeded"


def test_the_end_of_an_attempt_is_written_once_whatever_comes_later(queue):
    job = bring(queue, "running")
    assert finish(queue, job.id, 1, Outcome("exited", 0)).state == "succeeded"
    assert finish(queue, job.id, 1, Outcome("lost", message="late")).state == "succeeded"
    assert [one.state for one in history(queue, job.id)] == ["queued", "running", "succeeded"]


def test_the_same_study_again_is_the_job_that_is_there_unless_told_otherwise(queue):
    first = put(queue)
    reordered = {"cells": [{"composition": []}], "name": "x"}
    [(second, is_new)] = queue.submit([JobRequest(study=reordered)], user="bob")
    assert (second.id, is_new) == (first.id, False)
    assert put(queue, again=True).id != first.id
    assert put(queue, how={"workers": 2}).id != first.id
    other = put(queue, "other")
    queue.cancel(other.id)
    assert put(queue, "other").id != other.id


def test_several_are_queued_all_or_none(queue):
    good, bad = JobRequest(study=study("good")), JobRequest(study=study("bad", blocks=[1, 1]))
    with pytest.raises(InputError, match="blocks"):
        queue.submit([good, bad], user="ada")
    assert page(queue)[1] == 0
    found = queue.submit([good, good], user="ada")
    assert [is_new for _, is_new in found] == [True, False]
    assert len({job.id for job, _ in found}) == 1


def test_the_same_study_from_many_at_once_is_queued_once(queue_url):
    barrier, found = threading.Barrier(6), []

    def go() -> None:
        own = Queue(queue_url)
        barrier.wait()
        found.extend(own.submit([JobRequest(study=study())], user="ada"))
        own.database.close()

    Queue(queue_url).database.close()
    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({job.id for job, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1


def test_a_page_has_what_runs_then_what_waits_in_order_then_the_newest(queue):
    low, high = put(queue, "low"), put(queue, "high", priority=5)
    old, new = put(queue, "old"), put(queue, "new")
    queue.cancel(old.id), queue.cancel(new.id)
    shown, total = page(queue)
    assert total == 4
    assert [job.id for job in shown] == [high.id, low.id, new.id, old.id]
    assert [job.position for job in shown] == [1, 2, 0, 0]
    assert [job.id for job in page(queue, limit=2, offset=1)[0]] == [low.id, new.id]
    assert [job.id for job in page(queue, Filter(("cancelled",)), limit=1)[0]] == [new.id]
    assert page(queue, Filter(user="bob")) == ([], 0)


def test_pages_together_have_every_job_once(queue):
    names = {put(queue, f"s{number}", priority=number % 3).id for number in range(23)}
    for name in sorted(names)[::4]:
        queue.cancel(name)
    seen = [job.id for start in range(0, 30, 5) for job in page(queue, limit=5, offset=start)[0]]
    assert len(seen) == 23
    assert set(seen) == names


def test_the_place_of_a_job_is_how_many_wait_before_it_in_its_queue_on_whatever_page(queue_url):
    queue = Queue(queue_url, queues=("default", "night"))
    for number in range(24):
        where = "night" if number % 3 == 0 else "default"
        request = JobRequest(study=study(f"s{number}"), priority=number % 4, queue=where)
        queue.submit([request], user="ada" if number % 2 else "bob")
    everything, _ = page(queue)
    for job in everything[::7]:
        queue.pause(job.id)
    waiting = [job for job in page(queue)[0] if job.state == "queued"]
    waiting.sort(key=lambda job: (-job.priority, job.submitted_s))
    line = {name: [job.id for job in waiting if job.queue == name] for name in queue.queues}
    views = [{"offset": start, "limit": 5} for start in range(0, 24, 5)]
    views += [{"wanted": Filter(user="ada")}, {"wanted": Filter(queue="night"), "offset": 2}]
    for view in views:
        for job in page(queue, **view)[0]:
            place = line[job.queue].index(job.id) + 1 if job.state == "queued" else 0
            assert job.position == place, view
    queue.database.close()


def test_priority_moves_a_job_in_the_queue_and_keeps_its_id(queue):
    first, second = put(queue, "a"), put(queue, "b")
    assert queue.reprioritise(second.id, 9).priority == 9
    assert [job.id for job in page(queue)[0]] == [second.id, first.id]
    with pytest.raises(NotNowError):
        queue.reprioritise(bring_done(queue).id, 1)


def bring_done(queue: Queue):
    job = put(queue, "done")
    queue.cancel(job.id)
    return queue.get(job.id)


def test_a_retried_job_may_get_a_larger_limit(queue):
    job = bring(queue, "failed")
    again = queue.retry(job.id, gpu_hours=7.0)
    assert (again.state, again.gpu_hours, again.message, again.ended_s) == ("queued", 7.0, "", None)


def test_unknown_queues_and_jobs_are_named(queue):
    with pytest.raises(InputError, match="default, night"):
        queue.submit([JobRequest(study=study(), queue="nigth")], user="ada")
    with pytest.raises(NoSuchJobError, match="jnope"):
        queue.get("jnope")


def test_an_older_queue_is_refused_with_what_to_do(tmp_path):
    from sqlalchemy import create_engine, text

    url = f"sqlite:///{tmp_path}/service.db"
    Queue(url).database.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE about SET value='0' WHERE key='service'"))
    engine.dispose()
    from handssl.errors import DataError

    with pytest.raises(DataError, match=r"queue .*expected tables of version 1, found 0"):
        Queue(url)


@pytest.mark.parametrize(
    ("cause", "asked", "limit"),
    [("time", "time_limit_s", "--time-limit 60"), ("budget", "gpu_hours", "--gpu-hours 60")],
)
def test_a_job_that_met_a_limit_is_started_again_with_a_larger_one_only(queue, cause, asked, limit):
    job = put(queue, **{asked: 60.0})
    lease = Lease(queue.database)
    assert lease.take()
    admit(queue, lease, Limits(), lambda *_: None)
    finish(queue, job.id, 1, Outcome("stopped", reason=cause, message="over"))
    for changes in ({}, {asked: 60.0}):
        with pytest.raises(InputError, match=limit):
            queue.retry(job.id, **changes)
    assert queue.get(job.id).state == "failed"
    assert queue.retry(job.id, **{asked: 90.0}).state == "queued"


def test_a_job_is_not_started_again_with_less_time_than_it_has_run(queue):
    job = put(queue, time_limit_s=60.0)
    lease = Lease(queue.database)
    assert lease.take()
    admit(queue, lease, Limits(), lambda *_: None)
    finish(queue, job.id, 1, Outcome("stopped", reason="time", message="over", ran_s=300.0))
    with pytest.raises(InputError, match=r"--time-limit 300: .* got 120; .*--time-limit 600`"):
        queue.retry(job.id, time_limit_s=120.0)
    assert queue.retry(job.id, time_limit_s=600.0).state == "queued"


def test_a_limit_that_is_not_changed_is_not_said_to_be(queue):
    job = bring(queue, "queued")
    assert queue.retry(job.id).state == "queued"
    with pytest.raises(NotNowError, match="to retry it, it has to be failed, cancelled"):
        queue.retry(job.id, gpu_hours=7.0)


@pytest.mark.parametrize("verb", ["cancel", "pause"])
def test_what_a_running_job_may_be_asked_is_said_of_one_that_is_over(queue, verb):
    job = bring(queue, "succeeded")
    with pytest.raises(NotNowError, match=r"has to be queued, .*running"):
        getattr(queue, verb)(job.id)
