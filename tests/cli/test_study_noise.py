"""`handssl study noise` as a user types it; the trials themselves are those of `study run`."""

from __future__ import annotations

import json

import pytest

from handssl.cli.app import invoke
from handssl.cli.views import noise
from handssl.execution.result import StudyResult
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.study.trials import plan_study

STUDY = """
name: mine
references: false
cells:
  - {composition: [rotate], exempt: true}
  - {composition: [rotate], objective: relative, exempt: true}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a study, in which trials end at once: repeat n of a cell at 60 + n mm."""
    asked = []

    def end_at_once(study, *, storage, options, **rest):
        ledger, found = Ledger(storage), []
        for trial in plan_study(study, "data"):
            asked.append((trial.cell, options.max_concurrent_trials))
            mm = 60.0 + trial.config.noise_repeat
            found.append(
                TrialRecord(
                    trial_id=trial.trial_id,
                    study=study.name,
                    stage=trial.stage,
                    cell=trial.cell,
                    composition=trial.composition,
                    objective=trial.objective,
                    block=trial.block,
                    outcome="completed",
                    epochs=trial.epochs,
                    metrics={"median_mm": mm, "aligned_median_mm": 30.0},
                    config=trial.config.model_dump(mode="json"),
                )
            )
            ledger.save(found[-1])
        return StudyResult(study, storage, "", tuple(found), len(found), selections=())

    monkeypatch.setattr(noise, "run", end_at_once)
    monkeypatch.setattr(noise, "smallest_gpu", lambda: None)
    monkeypatch.setattr(noise, "available_cpus", lambda: 8)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(STUDY, encoding="utf-8")
    return asked


WORDS = ["study", "noise", "mine.yaml", "--storage", "runs", "--quiet"]


def test_it_prints_the_spread_of_each_objective_with_its_interval(place, capsys):
    assert invoke([*WORDS, "--repeats", "3", "--json"]) == 0
    (first, *_) = found = json.loads(capsys.readouterr().out)["noise"]
    assert [(one["metric"], one["objective"]) for one in found] == [
        ("median_mm", "contrastive"),
        ("median_mm", "relative"),
        ("aligned_median_mm", "contrastive"),
        ("aligned_median_mm", "relative"),
    ]
    # 61, 62, 63: standard deviation 1; chi-square with 2 degrees: 7.378 and 0.0506.
    assert first["repeats"]["sd"] == pytest.approx(1.0)
    assert first["repeats"]["low"] == pytest.approx((2 / 7.378) ** 0.5, rel=1e-3)
    assert first["repeats"]["high"] == pytest.approx((2 / 0.05064) ** 0.5, rel=1e-3)
    assert first["seeds"] is None
    assert {most for _, most in place} == {4}  # of 8 cores: half of the repeats use two


def test_it_repeats_the_cells_that_are_named(place, capsys):
    assert invoke([*WORDS, "--repeats", "2", "--cells", "relative rotate"]) == 0
    assert [cell for cell, _ in place] == [f"relative rotate noise_repeat={n}" for n in (1, 2)]
    out = capsys.readouterr().out
    assert "not known" in out
    assert invoke([*WORDS, "--cells", "relative rotat"]) == 2
    assert "did you mean 'relative rotate'" in capsys.readouterr().err
