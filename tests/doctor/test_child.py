"""A process that is asked something: its answer, or why there is none, and nothing left of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from handssl.doctor.child import NoAnswerError, ask
from tests.doctor.faulty_calls import ROOT


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("die", "its process was killed by signal 9: no output"),
        ("refuse", "ValueError: not today"),
        ("leave", "its process exited with code 3: no output"),
        ("absent", "AttributeError: module 'tests.doctor.faulty_calls' has no attribute 'absent'"),
    ],
)
def test_no_answer_says_why_in_one_line(function, message):
    with pytest.raises(NoAnswerError) as caught:
        ask(f"tests.doctor.faulty_calls:{function}", timeout_s=60)
    assert str(caught.value) == message


PROGRAM = """
import signal, sys
from handssl.doctor.child import ask

# What starts the tests in the background may have told them to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ask("tests.doctor.faulty_calls:hang", sys.argv[1], timeout_s=100)
"""


def written(pids, is_alive):
    """Return the processes whose ids another process writes into a file, once they are whole."""
    while not (pids.exists() and pids.read_text().endswith("]")):
        assert is_alive()
        time.sleep(0.02)
    return [psutil.Process(pid) for pid in json.loads(pids.read_text())]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_one_who_asks(tmp_path, number):
    pids = tmp_path / "pids"
    asker = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(pids)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    family = written(pids, lambda: asker.poll() is None)
    asker.send_signal(number)
    assert asker.wait(timeout=60) != 0
    psutil.wait_procs(family, timeout=20)
    assert not [process for process in family if process.is_running()]


def test_one_that_hangs_is_ended_with_all_it_has_started(tmp_path):
    pids = tmp_path / "pids"
    errors = []

    def ask_in_vain():
        try:
            ask("tests.doctor.faulty_calls:hang", str(pids), timeout_s=5)
        except NoAnswerError as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask_in_vain)
    thread.start()
    family = written(pids, thread.is_alive)
    thread.join()
    assert errors == ["no answer within 5 s"]
    psutil.wait_procs(family, timeout=20)
    assert not [process for process in family if process.is_running()]
