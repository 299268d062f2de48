"""The measurement of a long queue, on a short one."""

from __future__ import annotations

from handssl.bench.queue import bench_queue, text


def test_every_cost_is_measured_and_reported(tmp_path):
    told = []
    cost = bench_queue(300, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(250, 300), (300, 300)]
    assert cost.jobs == 300
    assert cost.per_second > 0
    for median, worst in (cost.page_s, cost.html_s, cost.decision_s):
        assert 0 < median <= worst
    assert f"| SQLite | 300 | {cost.per_second:.0f} |" in text([cost])
