"""`handssl bench sweep` and `bench effects` in small; how fast things are is no test."""

import json

import pytest

from handssl.bench import sweep
from handssl.cli.app import invoke


@pytest.mark.slow
def test_both_ways_run_all_their_trials_and_stand_in_the_table(tmp_path):
    told = []
    costs = sweep.bench_sweep(tmp_path, factors=2, on_progress=lambda *both: told.append(both))
    assert [cost.trials for cost in costs] == [4, 4, 12]
    assert told[-1] == (3, 3)
    assert all(cost.seconds > 0 and cost.peak_bytes > 10**8 for cost in costs)
    page = sweep.text(costs)
    assert "| handssl, 4 trials | 4 |" in page
    assert "| Ray Tune, 4 trials, reused actors, MLflowLoggerCallback | 4 |" in page
    assert list(tmp_path.iterdir()) == []


def test_effects_of_the_full_grid_cost_everything_and_are_exact(tmp_path, capfd):
    page = tmp_path / "effects.md"
    words = ["bench", "effects", "--repeats", "3", "--markdown", str(page), "--json", "-q"]
    assert invoke(words) == 0
    tables = json.loads(capfd.readouterr().out)
    assert list(tables) == [f"First rung after epoch 1 of 9, {n}" for n in ("3 seeds", "1 seed")]
    for rows in tables.values():
        full, *others = rows
        assert (full["share"], full["regret_mm"]) == (1.0, 0.0)
        assert all(0 < row["share"] < 1 for row in others)
    assert "| full grid | 1.00 | 0.00 |" in page.read_text()
