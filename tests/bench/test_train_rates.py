"""`handssl bench train` in small; how fast things are is no test."""

import csv
import json

from handssl.cli.app import invoke


def test_steps_and_their_limit_are_measured_and_nothing_is_left_behind(tmp_path, capfd):
    page = tmp_path / "train.md"
    sheet = tmp_path / "train.csv"
    words = [
        "--workers",
        "1,2",
        "--csv",
        str(sheet),
        "--steps",
        "1",
        "--rounds",
        "1",
        "-q",
        "--json",
        "--markdown",
        str(page),
    ]
    small = [
        "pretrain.encoder.width=8",
        "pretrain.encoder.input_px=32",
        "pretrain.global_batch=8",
    ]
    words += [word for change in small for word in ("--set", change)]
    folder = tmp_path / "data"
    assert invoke(["bench", "train", *words, "--device", "cpu", "--folder", str(folder)]) == 0
    rates = json.loads(capfd.readouterr().out)
    assert len(rates["ways"]) == 3
    for ways in rates["ways"].values():
        assert set(ways) == {"step", "limit", "views", "network", "update"}
        assert all(rate["per_s"] > 0 for rate in ways.values())
    assert rates["peak_bytes"] > 10**8
    assert "| color_jitter+rotate+translate |" in page.read_text()
    assert set(rates["scaling"]) == {"1", "2"}
    assert "| 2 |" in page.read_text()
    rows = list(csv.DictReader(sheet.read_text().splitlines()))
    assert len(rows) == 3 * 5 + 2
    assert all(float(row["views_per_s"]) > 0 for row in rows)
    assert list(folder.iterdir()) == []


def test_a_mistake_is_reported(capfd):
    assert invoke(["bench", "train", "--set", "pretrain.epoch=3"]) == 2
    assert "did you mean 'epochs'" in capfd.readouterr().err
    assert invoke(["bench", "train", "--workers", "two"]) == 2
    assert "expected numbers such as 1,2, got 'two'" in capfd.readouterr().err
