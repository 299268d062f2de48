"""`handssl bench data` measures what it says; how fast things are is no test."""

import json

import pytest

from handssl.bench.rates import in_turns
from handssl.cli.app import invoke


def test_ways_are_measured_in_turns():
    order = []
    ways = {name: (lambda name=name: order.append(name) or 10) for name in "ab"}
    told = []
    rates = in_turns(ways, rounds=3, on_progress=lambda *both: told.append(both))
    assert "".join(order) == "ababab"
    assert told == [(n, 6) for n in range(1, 7)]
    assert set(rates) == {"a", "b"}
    low, high = rates["a"].spread
    assert 0 < low <= rates["a"].per_s <= high


def test_every_measure_is_there_and_nothing_is_left_behind(tmp_path, capfd):
    words = ["bench", "data", "--folder", str(tmp_path), "--images", "64", "--crops", "1024"]
    assert invoke([*words, "--rounds", "1", "--quiet", "--json"]) == 0
    rates = json.loads(capfd.readouterr().out)
    assert rates["images"] == 64 * 16
    assert set(rates["packing"]) == {"limit", "pack"}
    assert set(rates["reading"]) == {
        *("disk", "cold", "warm", "warm, buffer used again", "memory"),
    }
    assert all(
        rate["per_s"] > 0 for group in ("packing", "reading") for rate in rates[group].values()
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rounds", ["0", "x"])
def test_a_wrong_number_of_rounds_is_reported(capfd, rounds):
    assert invoke(["bench", "data", "--rounds", rounds]) == 2
    assert "--rounds" in capfd.readouterr().err
