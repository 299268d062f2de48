"""Work in processes: results as they come, errors as they are, nobody left behind."""

import os
from contextlib import closing

import psutil
import pytest

from handssl.errors import DataError
from handssl.runtime.worker_processes import completed


def times(factor, number):
    return factor * number, os.getpid()


def fail(shared, number):
    if number == 3:
        raise DataError(f"item {number}: expected good, found bad")
    return number


def leave(shared, number):
    os._exit(1)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_is_worked_on_once(workers):
    results = list(completed(times, [(n,) for n in range(20)], shared=7, workers=workers))
    assert sorted(value for value, _ in results) == [7 * n for n in range(20)]
    assert len({pid for _, pid in results} - {os.getpid()}) < workers


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_arrives_with_its_message(workers):
    before = psutil.Process().children(recursive=True)
    with (
        pytest.raises(DataError, match="item 3: expected good"),
        closing(completed(fail, [(n,) for n in range(50)], shared=None, workers=workers)) as work,
    ):
        list(work)
    _, alive = psutil.wait_procs(left_since(before), timeout=10)
    assert not alive


def test_a_process_that_is_killed_is_reported():
    with pytest.raises(DataError, match="ended before the work was done"):
        list(completed(leave, [(1,)], shared=None, workers=2))


def test_ending_early_leaves_no_process():
    before = psutil.Process().children(recursive=True)
    with closing(completed(times, [(n,) for n in range(1000)], shared=1, workers=2)) as results:
        next(results)
        assert left_since(before)
    _, alive = psutil.wait_procs(left_since(before), timeout=10)
    assert not alive


def left_since(before):
    # Python's own tracker of shared resources stays until this process ends.
    children = [p for p in psutil.Process().children(recursive=True) if p not in before]
    return [p for p in children if "resource_tracker" not in " ".join(p.cmdline())]
