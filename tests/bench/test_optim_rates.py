"""`handssl bench optim` in small; how fast things are is no test."""

import json

from handssl.bench import optim
from handssl.cli.app import invoke

NAMES = ["torch AdamW", "adam", "adam_larc", "lars", "lars large_batch", "lamb"]


def test_every_optimizer_is_measured_and_stands_in_the_table():
    told = []
    rates = optim.bench_optim(2, width=4, on_progress=lambda *both: told.append(both))
    assert list(rates) == NAMES
    assert told[-1] == (12, 12)
    page = optim.text(rates)
    assert all(f"| {name} |" in page for name in NAMES)
    assert "| 1.2 |" in page
    assert "| 1.8 |" in page


def test_the_verb_prints_json_and_writes_a_page(tmp_path, capfd):
    page = tmp_path / "optim.md"
    words = ["bench", "optim", "--rounds", "1", "--markdown", str(page), "--json", "-q"]
    assert invoke(words) == 0
    assert list(json.loads(capfd.readouterr().out)) == NAMES
    assert "| lamb |" in page.read_text()
