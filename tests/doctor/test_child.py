"""A process that is asked something: its answer, or why there is none, and nothing left of it."""

import json
import threading
import time

import psutil
import pytest

from handssl.doctor.child import NoAnswerError, ask


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("die", "its process was ended by signal 9: it said nothing"),
        ("refuse", "ValueError: not today"),
        ("leave", "its process ended with code 3: it said nothing"),
        ("absent", "AttributeError: module 'tests.doctor.faults' has no attribute 'absent'"),
    ],
)
def test_no_answer_says_why_in_one_line(function, message):
    with pytest.raises(NoAnswerError) as caught:
        ask(f"tests.doctor.faults:{function}", timeout_s=60)
    assert str(caught.value) == message


def test_one_that_hangs_is_ended_with_all_it_has_started(tmp_path):
    pids = tmp_path / "pids"
    errors = []

    def ask_in_vain():
        try:
            ask("tests.doctor.faults:hang", str(pids), timeout_s=5)
        except NoAnswerError as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask_in_vain)
    thread.start()
    while not pids.exists():
        assert thread.is_alive()
        time.sleep(0.02)  # a file that another process writes
    family = [psutil.Process(pid) for pid in json.loads(pids.read_text())]
    thread.join()
    assert errors == ["no answer within 5 s"]
    psutil.wait_procs(family, timeout=20)
    assert not [process for process in family if process.is_running()]
