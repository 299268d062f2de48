"""`handssl bench intervals` in small."""

import json

from handssl.bench.effect_intervals import bench_intervals
from handssl.cli.app import invoke


def test_both_estimators_of_a_world_see_the_same_studies(tmp_path, capfd):
    page = tmp_path / "intervals.md"
    words = ["bench", "intervals", "--studies", "2", "--markdown", str(page), "--json", "-q"]
    assert invoke(words) == 0
    rows = json.loads(capfd.readouterr().out)
    assert len(rows) == 60
    for own, plain in zip(rows[::2], rows[1::2], strict=True):
        assert (own["estimator"], plain["estimator"]) == ("moderated t", "plain t")
        assert own["wrong_together"] == plain["wrong_together"]
        # Below 6.5 degrees of freedom together nothing is moderated.
        if own["k"] * (own["blocks"] - 1) < 6.5 and "missing" not in own["world"]:
            assert own["width_mm"] == plain["width_mm"]
    assert "| as recorded | 7 | 3 | moderated t |" in page.read_text()


def test_families_of_holm_and_simultaneous_intervals_err_in_about_five_percent():
    for row in bench_intervals(studies=150, sizes=(7,), blocks=(3,)):
        # 11 %: the 95 % Monte-Carlo interval of 5 % in 150 studies goes to 8.5 %.
        if row.estimator == "plain t":
            assert row.wrong_holm <= 0.11
        assert row.wrong_together <= 0.11
        assert row.coverage_range[1] >= 0.93
