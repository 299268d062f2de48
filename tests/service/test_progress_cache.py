"""Progress is looked at again and again, whatever one look has met."""

from __future__ import annotations

import time

import pytest

from handssl.errors import DataError
from handssl.service.dispatch import progress_cache as module
from handssl.service.dispatch.progress import Progress
from handssl.service.dispatch.progress_cache import ProgressCache
from handssl.service.queue.job import JobRequest
from tests.service.services import service, study


def test_a_look_that_fails_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FRESH_S", 0.0)
    monkeypatch.setattr(module, "_SHARE", 0.0)
    of = service(tmp_path)
    of.queue.submit([JobRequest(study=study())], user="ada")
    from handssl.service.queue.admission import admit

    assert of.lease.take()
    [job] = admit(of.queue, of.lease, of.limits, lambda *_: None)
    found = iter([Progress(done=1), DataError("away"), DataError("away"), Progress(done=2)])

    def look(job):
        one = next(found, Progress(done=3))
        if isinstance(one, Exception):
            raise one
        return one

    board, deadline = ProgressCache(look), time.monotonic() + 30
    while board.get(job).done < 3:
        assert time.monotonic() < deadline
    board.close()


def test_a_first_look_that_fails_says_so(tmp_path):
    def look(job):
        raise DataError("away")

    of = service(tmp_path)
    [(job, _)] = of.queue.submit([JobRequest(study=study())], user="ada")
    of.queue.cancel(job.id)
    board = ProgressCache(look)
    with pytest.raises(DataError, match="away"):
        board.get(of.queue.get(job.id))
    board.close()
