"""A driver's process that ends, hangs or is stopped: what is called goes on, nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from handssl.errors import ClusterLostError, InputError
from handssl.execution.supervision import supervisor
from handssl.execution.supervision.supervisor import MAX_STARTS_IN_VAIN, Supervisor
from handssl.planning.execution_options import ExecutionOptions
from handssl.runtime.interruption import Interruption
from handssl.study.events import StudyMessage, Tick

pytestmark = pytest.mark.faults

CALLS = "tests.execution.supervision.supervised_calls"


@pytest.fixture
def called(tmp_path):
    """Calls a function in a driver's process; returns what came, and what was told."""

    def call(name, *, address=None, interruption=None, on_event=None, **arguments):
        told = []

        def listen(event):
            if not isinstance(event, Tick):
                told.append(event)
            if on_event:
                on_event(event)

        with Supervisor(ExecutionOptions(address=address)) as one:
            where = f"{CALLS}:{name}"
            interruption = interruption or Interruption()
            return one.call(where, listen, interruption, storage=tmp_path, **arguments), told

    return call


def is_alive(pid):
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_what_is_reported_comes_in_order_from_another_process(called):
    pid, told = called("tell", texts=["one", "two"])
    assert pid != os.getpid()
    assert told == [StudyMessage("one"), StudyMessage("two")]
    assert not is_alive(pid)


def test_one_process_serves_all_calls_of_a_supervisor(tmp_path):
    with Supervisor(ExecutionOptions()) as one:
        arguments = {"storage": tmp_path, "texts": []}
        pids = {one.call(f"{CALLS}:tell", print, Interruption(), **arguments) for _ in range(2)}
    assert len(pids) == 1


def test_an_error_comes_as_what_it_is(called):
    with pytest.raises(InputError, match="expected something else"):
        called("refuse")
    with pytest.raises(ZeroDivisionError) as caught:
        called("stumble")
    assert "in stumble" in "".join(caught.value.__notes__)  # where it was, over there


def test_a_process_that_ray_has_ended_is_started_again_and_said(called, tmp_path):
    calls, told = called("end_as_ray_does", times=2)
    assert calls == 3
    assert [event.message for event in told] == [
        "Ray has ended: it ended the process that drives it (exit code 1). It is started again; "
        "all results are kept."
    ] * 2
    assert [pid for pid in (tmp_path / "calls.txt").read_text().split() if is_alive(int(pid))] == []


def test_failed_starts_come_to_an_end(called):
    with pytest.raises(ClusterLostError, match="ended 4 times without an epoch") as caught:
        called("end_as_ray_does", times=100)
    assert MAX_STARTS_IN_VAIN == 3
    assert caught.value.exit_code == 69


def test_the_ray_of_another_is_not_started_again(called):
    with pytest.raises(ClusterLostError, match="cluster at head:6379 has ended: ") as caught:
        called("end_as_ray_does", address="head:6379", times=1)
    assert caught.value.exit_code == 69


def test_a_driver_that_waits_endlessly_for_a_part_of_ray_that_ended_is_ended(called):
    result, told = called("lose_a_part")
    assert result == "went on"
    assert "its raylet ended" in told[0].message


def test_a_ray_that_does_not_start_is_not_waited_for_endlessly(called, monkeypatch):
    monkeypatch.setattr(supervisor, "START_S", 0.1)
    with pytest.raises(ClusterLostError, match="it has not started within 0 s"):
        called("start_for_ever")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handed_on(called, number):
    def stop(event):
        if isinstance(event, StudyMessage):
            signal.raise_signal(number)

    with Interruption() as interruption:
        assert called("wait_for_the_end", interruption=interruption, on_event=stop)[0] == number


def test_a_wish_from_another_thread_stops_it_without_a_signal(called):
    interruption = Interruption()
    threading.Timer(0.1, lambda: setattr(interruption, "requested", True)).start()
    assert called("wait_for_the_end", interruption=interruption)[0] is None


def test_what_a_listener_raises_stops_the_driver_and_is_raised(called):
    def raise_it(event):
        if isinstance(event, StudyMessage):
            raise LookupError("of the caller")

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(LookupError, match="of the caller"):
        called("wait_for_the_end", on_event=raise_it)
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_driver_and_what_it_has_started_end_with_a_parent_that_is_killed(tmp_path: Path):
    words = [sys.executable, "-m", f"{CALLS}", str(tmp_path)]
    with subprocess.Popen(words) as parent:
        pids, deadline = tmp_path / "pids.txt", time.monotonic() + 60
        while not pids.exists():
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parent.kill()
    started = [int(pid) for pid in pids.read_text().split()]
    while any(map(is_alive, started)):
        assert time.monotonic() < deadline, started
        time.sleep(0.05)
