"""Noise floor of a study: from the repeats in its ledger to what its plan says."""

from __future__ import annotations

import math

import pytest

from handssl.cli.app import invoke
from handssl.errors import InputError
from handssl.execution.stage_outcomes import choose
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.planning.document import document
from handssl.planning.noise import first_noise, noise_floors, noise_of, primary_noise
from handssl.planning.preregistration import keep
from handssl.planning.study_plan import StudyPlan
from handssl.planning.variation import Variation, at_least
from handssl.report.headline import summary
from handssl.report.of_study import study_report
from handssl.study.noise import noise_study
from handssl.study.study import Study
from handssl.study.trials import plan_study, stage_scheduler

STUDY = Study.parse(
    {
        "name": "mine",
        "blocks": [3, 4],
        "cells": [
            {"composition": "blur"},
            {"composition": "rotate", "exempt": True},
            {"composition": "rotate", "objective": "relative", "exempt": True},
        ],
    }
)
PA = "aligned_median_mm"


def records(study, values):
    """Records of the trials of a study; values by cell without its repeat, then in order."""
    found = []
    for trial in plan_study(study, "data"):
        of_cell = values.get(trial.cell.partition(" noise_repeat")[0])
        if of_cell:
            mm = of_cell.pop(0)
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
                    epoch=trial.epochs,
                    epochs=trial.epochs,
                    metrics={"median_mm": mm, PA: mm / 2},
                    config=trial.config.model_dump(mode="json"),
                )
            )
    return found


def repeated():
    values = {"contrastive rotate": [60.0, 62.0, 64.0], "relative rotate": [50.0, 50.0, 56.0]}
    return records(noise_study(STUDY, ["contrastive rotate", "relative rotate"], 3), values)


def ordinary():
    values = {"contrastive rotate": [60.0, 66.0], "contrastive blur": [80.0, 84.0]}
    return records(STUDY, values)


def test_repeats_have_the_seed_and_the_settings_of_their_cell_and_ids_of_their_own():
    study = noise_study(STUDY, repeats=2)
    assert study.name == "mine-noise"
    assert (study.blocks, study.halving, study.references) == ((3,), None, False)
    trials = plan_study(study, "data")
    # One cell of each objective: of contrastive the one with a rival, and the supervised one.
    assert [trial.cell for trial in trials] == [
        f"{cell} noise_repeat={repeat}"
        for cell in ("contrastive rotate", "relative rotate", "supervised")
        for repeat in (1, 2)
    ]
    known = {(t.cell, t.block): t for t in plan_study(STUDY, "data")}
    for trial in trials:
        cell = trial.cell.partition(" noise_repeat")[0]
        assert trial.config.merged({"noise_repeat": 0}) == known[cell, 3].config
    assert not {t.trial_id for t in trials} & {t.trial_id for t in known.values()}


def test_an_unknown_cell_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'relative rotate'"):
        noise_study(STUDY, ["relative rotat"])


def test_the_floor_is_the_spread_within_cells_beside_that_over_seeds():
    floors = noise_floors([*repeated(), *ordinary()], "mine")
    assert [(f.metric, f.objective) for f in floors] == [
        ("median_mm", "contrastive"),
        ("median_mm", "relative"),
        (PA, "contrastive"),
        (PA, "relative"),
    ]
    contrastive, relative, aligned, _ = floors
    assert contrastive.repeats.sd == pytest.approx(2.0)
    assert relative.repeats.sd == pytest.approx(math.sqrt(12.0))
    assert aligned.repeats.sd == pytest.approx(1.0)
    # Differences over seeds 6 and 4 in two cells: half of their squares, averaged.
    assert contrastive.seeds.sd == pytest.approx(math.sqrt((18.0 + 8.0) / 2))
    assert relative.seeds is None
    known = primary_noise(floors)
    assert noise_of(known, "contrastive") == pytest.approx(2.0)
    assert noise_of(known, "mixed") == pytest.approx(math.sqrt(12.0))
    assert noise_floors(ordinary(), "mine") == ()
    assert noise_of({}, "relative") == 0.0


def test_a_plan_never_promises_less_than_rounding_allows(tmp_path):
    before = StudyPlan(STUDY, tmp_path)
    ledger = Ledger(tmp_path)
    for record in repeated():
        ledger.save(record)
    ledger.close()
    after = StudyPlan(STUDY, tmp_path)
    assert not before.variation.measured
    assert after.variation.sd_mm == pytest.approx(math.sqrt(2 * 12.0))
    assert after.effects[0].mm > before.effects[0].mm
    assert StudyPlan(STUDY, tmp_path, sd_mm=0.7).variation.sd_mm == 0.7
    assert document(after)["noise"][0]["repeats"]["n"] == 3
    more = Variation(9.0, "measured", measured=True)
    assert at_least(more, 1.0) == more


def test_the_plan_prints_the_floor_or_how_to_measure_it(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text(STUDY.model_dump_json())  # JSON is YAML
    words = ["study", "plan", str(file), "--no-measure", "--storage", str(tmp_path / "runs")]
    invoke(words)
    assert "Noise of rounding: not measured; measure it with: " in capsys.readouterr().out
    ledger = Ledger(tmp_path / "runs")
    for record in repeated():
        ledger.save(record)
    ledger.close()
    invoke(words)
    out = capsys.readouterr().out
    # 1.96 sqrt((4 + 4) / 2)
    assert "contrastive: 2 mm (1 to 13, 3 repeats); undecided below 3.9 mm" in out


def kept(storage, found):
    ledger = Ledger(storage)
    for record in found:
        ledger.save(record)
    return ledger


def test_a_stage_and_the_report_judge_with_the_same_noise(tmp_path):
    values = {"contrastive": [63.0, 64.1], "relative": [60.0, 61.0]}
    study = STUDY.merged({"cells": STUDY.model_dump(mode="json")["cells"][1:]})
    whole = records(study, {f"{name} rotate": own for name, own in values.items()})
    ledger = kept(tmp_path, whole)
    (stage,), trials = study.all_stages, plan_study(study, "data")
    scheduler = stage_scheduler(study, stage.name, trials, ledger)

    def judged():
        chosen = choose(study, stage, scheduler, {}, ledger)
        return chosen.reasons[0], " ".join(summary(study_report("mine", tmp_path, "").rows))

    assert not any("noise of rounding" in text for text in judged())
    kept(tmp_path, repeated())
    # 1.96 sqrt((4 + 12) / 2): repeats of contrastive rotate move by 2 mm, of relative by 3.5 mm.
    for text in judged():
        assert "within the noise of rounding (5.5 mm)" in text


def test_the_plan_of_a_first_run_keeps_the_noise_that_was_known_then(tmp_path):
    ledger = kept(tmp_path, repeated())
    assert first_noise(ledger.studies.plan("mine")) == {}
    keep(STUDY, tmp_path, ledger, lambda event: None)
    known = first_noise(ledger.studies.plan("mine"))
    assert known == pytest.approx({"contrastive": 2.0, "relative": math.sqrt(12.0)})
    assert StudyPlan(STUDY, tmp_path).deviations == []
