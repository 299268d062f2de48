"""What a plan says before anything is run."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from scipy import optimize, stats

from handssl.cli.app import invoke
from handssl.cli.views.plan import print_plan
from handssl.data.config import ProceduralData
from handssl.data.splits import StudyData
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.planning.confounding import in_words, over_blocks, within_a_block
from handssl.planning.epochs import epochs_left, expected_epochs, reaching
from handssl.planning.preregistration import (
    deviations,
    keep,
    plan_facts,
    plan_hash,
    preregistration,
)
from handssl.planning.recorded import recorded_variance
from handssl.planning.study_plan import StudyPlan
from handssl.planning.trial_size import trial_size
from handssl.planning.variation import variation
from handssl.scheduling.halving import Arm, HalvingState, Rules
from handssl.scheduling.skeletons import deal
from handssl.stats.contrasts import contrast
from handssl.stats.difference import difference_effects
from handssl.stats.full_grid import full_effects
from handssl.stats.imputation import BlockSample
from handssl.stats.power import main_effect_mm, paired_mm, skeleton_effect_mm, t_power
from handssl.stats.skeleton import skeleton
from handssl.study.study import Study
from handssl.training import Execution, Trial
from handssl.training.config import PretrainConfig
from tune_spaces import compositions, paper, smoke


@pytest.mark.parametrize(("df", "effect"), [(1, 3.0), (2, 0.0), (5, 1.0), (30, 3.0), (254, 2.0)])
def test_power_is_the_share_of_drawn_tests_that_reject(df, effect):
    rng = np.random.default_rng(0)
    t = (rng.normal(effect, 1, 200_000)) / np.sqrt(rng.chisquare(df, 200_000) / df)
    assert t_power(effect, df) == pytest.approx((abs(t) > stats.t.ppf(0.975, df)).mean(), abs=5e-3)


@pytest.mark.parametrize("blocks", [2, 3, 5, 20])
def test_the_detectable_difference_has_eighty_percent_power(blocks):
    df = blocks - 1
    critical = stats.t.ppf(0.975, df)
    found = optimize.brentq(lambda d: stats.nct.sf(critical, df, d) - 0.8, 0.5, 100)
    assert paired_mm(0.7, blocks) == pytest.approx(0.7 * found / math.sqrt(blocks), rel=5e-3)


def test_one_block_can_detect_no_difference_of_two_cells_and_no_main_effect_of_a_cube():
    assert paired_mm(1.0, 1) == math.inf
    assert main_effect_mm(1.0, 128, 1) == math.inf
    assert skeleton_effect_mm(1.0, 128, 16, 1) < math.inf  # its interval is for this very block
    assert skeleton_effect_mm(1.0, 8, 2, 3) == math.inf


DRAWS = 500
NAMES = ("a", "b", "c", "d")
CUBE = [
    tuple(n for n, on in zip(NAMES, row, strict=True) if on)
    for row in itertools.product((False, True), repeat=4)
]


def found_as_often(reports, mm, *, in_general=False):
    """Return the share of drawn studies in which the report tells the effect `a` from nothing."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(DRAWS):
        effect = reports(rng, mm)["a"]
        hits += effect.p < 0.05 if in_general else not effect.covers(0.0)
    return hits / DRAWS


def drawn(rng, mm):
    """Return early values that tell all but noise, and the last ones, of a block; sd is 1 mm."""
    early = {c: 40.0 + mm / 0.9 * ("a" in c) - 2.0 * ("b" in c) for c in CUBE}
    noise = rng.normal(0, math.sqrt(0.5), len(CUBE))
    return early, {c: 0.9 * early[c] + own for c, own in zip(CUBE, noise, strict=True)}


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_the_report_on_all_compositions_finds_a_main_effect_as_often_as_planned(blocks):
    def report(rng, mm):
        return full_effects([drawn(rng, mm)[1] for _ in range(blocks)], moderated=False)

    power = found_as_often(report, main_effect_mm(1.0, len(CUBE), blocks), in_general=True)
    assert power == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / DRAWS))


@pytest.mark.parametrize("blocks", [2, 3])
def test_the_report_on_a_skeleton_finds_a_main_effect_as_often_as_planned(blocks):
    def report(rng, mm):
        samples = []
        for position in range(blocks):
            early, last = drawn(rng, mm)
            # The interval is for the effect in these blocks: here that is `mm`, noise or not.
            off = contrast(last, "a") - mm
            last = {c: y - off * ("a" in c) for c, y in last.items()}
            chosen = skeleton(NAMES, 8, position)
            samples.append(
                BlockSample({c: [y] for c, y in early.items()}, {c: last[c] for c in chosen})
            )
        return difference_effects(samples)

    power = found_as_often(report, skeleton_effect_mm(1.0, len(CUBE), 8, blocks))
    assert power == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / DRAWS))


@pytest.mark.parametrize(("members", "cohort"), [(9, None), (10, 4), (112, None), (1, None)])
def test_rungs_are_reached_by_as_many_as_in_the_fold(members, cohort):
    rules = Rules(9, 1, 3.0, cohort=cohort)
    arms = [Arm(f"{i:04}", 1, exempt=False, epochs=9) for i in range(members)]
    arms += [Arm("exempt", 1, exempt=True, epochs=9)]
    state, epochs = HalvingState(arms, rules), {}
    for epoch in range(1, 10):
        for i, arm in enumerate(arms):
            if state.status(arm.trial_id) == "goes_on" and state.target(arm.trial_id) >= epoch:
                epochs[arm.trial_id] = epoch
                state.reported(arm.trial_id, epoch, float(i * 7919 % 1000))
    assert reaching(arms, rules) == {
        mark: sum(epoch >= mark for epoch in epochs.values()) for mark in (*rules.rungs, 9)
    }
    assert sum(epochs_left(arms, rules, {}).values()) == pytest.approx(sum(epochs.values()))


def test_under_arrival_the_mean_over_orders_is_expected():
    rules = Rules(4, 1, 2.0, order="arrival")
    total = 0
    for order in itertools.permutations(range(5)):
        state = HalvingState([Arm(str(i), 1) for i in order], rules)
        for value in order:
            for epoch in range(1, 5):
                if state.status(str(value)) == "goes_on":
                    state.reported(str(value), epoch, float(value))
                    total += 1
    assert expected_epochs(5, rules) == pytest.approx(total / math.factorial(5), rel=0.15)


def test_what_one_coset_confounds_two_cosets_tell_apart():
    for seed in (None, 0, 1):
        half, whole = (deal(("blur", "rotate", "translate"), size, seed) for size in (4, 8))
        assert in_words(within_a_block(half))[0].startswith(
            "main effect blur cannot be distinguished"
        )
        assert over_blocks(half, 1) == within_a_block(half)
        assert over_blocks(half, 2) == [] and within_a_block(whole) == []


def test_a_checkpoint_weighs_what_was_estimated(blob_data, tmp_path):
    for name in ("adam_larc", "lars"):
        config = PretrainConfig.parse(
            {
                "epochs": 1,
                "global_batch": 32,
                "encoder": {"width": 16, "input_px": 32},
                "composition": ["rotate"],
                "objective": "relative",
                "optimizer": {"name": name, "warmup_epochs": 0},
            }
        )
        folder = tmp_path / name
        list(Trial(config, blob_data, folder, execution=Execution(device="cpu")).epochs())
        files = [path for path in (folder / "checkpoints").rglob("*") if path.is_file()]
        written = sum(path.stat().st_size for path in files)
        assert trial_size(config).checkpoint_bytes == pytest.approx(written, rel=0.05)
        encoder = (folder / "encoder.safetensors").stat().st_size
        assert trial_size(config).encoder_bytes == pytest.approx(encoder, rel=0.05)
    assert StudyData(blob_data).fingerprint


def test_the_predictions_of_trials_and_references_are_counted(tmp_path):
    study = Study.parse(
        {
            "name": "small",
            "data": {"select": 24, "test": 16},
            "cells": [{"composition": "rotate"}, {"composition": "blur"}],
            "blocks": [1, 2],
            "halving": None,
            "pretrain": {"epochs": 2, "optimizer": {"warmup_epochs": 1}},
        }
    )
    disk = StudyPlan(study, tmp_path / "none").disk
    # Two cells, supervised and the random encoder in two blocks; mean pose, oracle, two ridges.
    assert disk.predictions == (24 + 16) * (21 * 3 * 2 + 8) * (2 * (2 + 1 + 1) + 4)
    assert disk.peak > disk.predictions + disk.checkpoints


def test_stages_that_follow_from_choices_are_counted(tmp_path):
    plan = StudyPlan(compositions.study(), tmp_path / "none")
    assert [len(work.cells) for work in plan.work] == [11, 128]
    # The empty composition and 120 of two and more are new; seven are those of Sec. 4.2.
    assert plan.work[1].shared == 3 * 7
    assert sum(trial.exempt for trial in plan.stages[1].trained) == 3 * 16
    assert any("cannot be distinguished" in line for line in plan.confounding(plan.stages[1]))
    assert not (tmp_path / "none").exists()


def test_a_study_whose_data_are_not_packed_is_planned_and_says_what_to_do(tmp_path, capfd):
    plan = StudyPlan(paper.study(), tmp_path / "none")
    assert "handssl data pack freihand" in plan.missing_data[0]
    by_name = {work.planned.stage.name: work for work in plan.work}
    # Four encoders, of which each direction probes three, one of them also by its own layer.
    work = by_name["cross_dataset"]
    assert len(work.cells) == 4
    assert sum(bool(one.needs) for one in work.planned.trials) == 3 * 2 * (3 + 1)
    assert not by_name["supervised"].planned.exact
    command = ["study", "plan", "paper", "--no-measure", "--storage", str(tmp_path / "none")]
    assert invoke(command) == 1
    assert "up to" in capfd.readouterr().out


def test_the_command_measures_and_prints_a_document(tmp_path, capfd):
    command = ["study", "plan", "smoke", "--json", "--measure-s", "5", "-q"]
    assert invoke([*command, "--storage", str(tmp_path / "none")]) == 0
    found = json.loads(capfd.readouterr().out)
    hours = found["device_hours"]
    assert 0 < hours["low"] < hours["mean"] < hours["high"]
    assert found["plan"] == StudyPlan(smoke.study(), tmp_path).hash
    assert found["detectable"][0]["mm"] is None
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("gpu_gb", "said"), [(80, ": a GPU each"), (24, "NOT ENOUGH; --workers")])
def test_a_plan_says_whether_a_step_fits_onto_the_gpu(tmp_path, monkeypatch, capfd, gpu_gb, said):
    monkeypatch.setattr("handssl.planning.resources.gpu_bytes", lambda: (gpu_gb * 10**9,))
    study = Study.parse(
        {
            "name": "x",
            "cells": [
                {
                    "composition": ["rotate", "blur"],
                    "objective": "mixed",
                    "settings": {"mixed": "split"},
                    "relative_on": ["rotate"],
                }
            ],
        }
    )
    plan = StudyPlan(study, tmp_path / "none")
    assert plan.memory.fits == (gpu_gb == 80)
    print_plan(plan, "handssl study run x", cells=False, measured=False)
    assert said in capfd.readouterr().out


def test_finished_trials_are_cache_hits_and_need_no_epochs(tmp_path, monkeypatch):
    study = smoke.study()
    monkeypatch.setattr(StudyPlan, "_fingerprint", lambda self, data: "00")
    before = StudyPlan(study, tmp_path)
    ledger = Ledger(tmp_path)
    for trial in before.stages[0].trials[:3]:
        ledger.save(_record(trial.trial_id, trial.cell, trial.block, 50.0, epoch=3))
    after = StudyPlan(study, tmp_path)
    assert after.work[0].finished == 3
    assert after.work[0].epochs == before.work[0].epochs - 3 * 3


@pytest.mark.parametrize(("by", "finished", "saved"), [("smoke", 1, 3), ("another", 0, 2)])
def test_what_another_study_has_stopped_is_no_cache_hit_but_its_epochs_are(
    tmp_path, monkeypatch, by, finished, saved
):
    monkeypatch.setattr(StudyPlan, "_fingerprint", lambda self, data: "00")
    before = StudyPlan(smoke.study(), tmp_path)
    trial = before.stages[0].trained[0]
    record = _record(trial.trial_id, trial.cell, trial.block, 50.0, epoch=2)
    Ledger(tmp_path).save(record.model_copy(update={"outcome": "stopped", "study": by}))
    after = StudyPlan(smoke.study(), tmp_path)
    assert after.work[0].finished == finished
    assert after.work[0].epochs == before.work[0].epochs - saved


def test_a_finished_study_has_no_epochs_left(tmp_path, monkeypatch):
    monkeypatch.setattr(StudyPlan, "_fingerprint", lambda self, data: "00")
    names = ("blur", "cutout", "noise", "sobel", "color_drop", "rotate", "translate", "scale")
    study = Study.parse(
        {
            "name": "smoke",
            "cells": [{"composition": name} for name in (*names, "color_jitter")],
            "pretrain": {"epochs": 100},
            "halving": {"grace_epochs": 11, "reduction_factor": 3.0},
            "references": False,
        }
    )
    ledger, outcomes = Ledger(tmp_path), ["completed", "stopped", "cancelled", *["stopped"] * 6]
    epochs = [100, 33, 20, *[11] * 6]
    planned = StudyPlan(study, tmp_path).stages[0].trials
    for trial, outcome, epoch in zip(planned, outcomes, epochs, strict=True):
        record = _record(trial.trial_id, trial.cell, trial.block, 50.0, epoch)
        ledger.save(record.model_copy(update={"outcome": outcome, "epochs": 100}))
    plan = StudyPlan(study, tmp_path)
    assert (plan.work[0].finished, plan.work[0].epochs) == (9, 0.0)
    assert plan.disk.checkpoints == plan.disk.encoders == 0
    plan.measure(budget_s=1.0, on_progress=pytest.fail)
    assert plan.hours(*plan.work) is None


@pytest.mark.parametrize("order", ["cohort", "arrival"])
def test_what_is_left_is_what_the_survivors_will_train(order):
    rules, arms = Rules(100, 11, 3.0, order=order), [Arm(str(i), 1) for i in range(9)]
    whole = epochs_left(arms, rules, {})
    assert sum(whole.values()) == pytest.approx(expected_epochs(9, rules))
    reached = dict.fromkeys(map(str, range(9)), 11.0)
    out = set(map(str, range(3, 9)))
    left = epochs_left(arms, rules, reached, over=out, stopped=out)
    one = [value for name, value in left.items() if name not in out]
    assert all(left[name] == 0 for name in out)
    if order == "cohort":  # three train to 33, one of them to the end
        assert one == pytest.approx([22 + 67 / 3] * 3)
    assert min(one) > max(whole[name] - 11 for name in whole)


def test_a_trial_that_is_retried_after_its_rung_was_decided_owes_the_epochs_before_it():
    rules, arms = Rules(9, 3, 3.0), [Arm(str(i), 1) for i in range(3)]
    reached = {"0": 3.0, "1": 3.0, "2": 1.0}
    left = epochs_left(arms, rules, reached, over={"1"}, stopped={"1"})
    assert left == {"0": 6.0, "1": 0.0, "2": 8.0}


def test_the_hash_stands_for_all_that_is_planned_and_not_for_the_name(tmp_path):
    study = smoke.study()
    first = preregistration(study, tmp_path)
    assert first["primary.protocol"] == "root_gtroot_20_boxpub"
    assert plan_hash(preregistration(study.merged({"name": "other"}), tmp_path)) == plan_hash(first)
    changed = study.merged({"blocks": [1, 2], "halving.grace_epochs": 2})
    found = deviations(first, preregistration(changed, tmp_path))
    assert found == ["blocks: 1 -> 1,2", "halving.grace_epochs: 1 -> 2"]


def test_the_first_plan_is_kept_and_deviations_are_reported_and_reported(tmp_path):
    study, ledger, said = smoke.study(), Ledger(tmp_path), []
    own = keep(study, tmp_path, ledger, said.append)
    later = keep(study.merged({"blocks": [1, 2]}), tmp_path, ledger, said.append)
    assert keep(study, tmp_path, ledger, said.append) == own != later
    assert [note.message for note in said][:3] == [
        f"plan {own}",
        f"plan {later}",
        f"deviates from plan {own}: blocks: 1 -> 1,2",
    ]
    assert plan_facts(ledger, "smoke") == {
        "plan": own,
        f"deviations under plan {later}": "blocks: 1 -> 1,2",
    }
    assert StudyPlan(study.merged({"blocks": [1, 2]}), tmp_path).deviations == ["blocks: 1 -> 1,2"]


def test_a_pretraining_alone_has_no_plan(tmp_path):
    study = Study(
        name="x",
        stage="pretrain",
        cells=({"composition": ()},),
        references=False,
        halving=None,
        data=ProceduralData(),
    )
    assert keep(study, tmp_path, Ledger(tmp_path), pytest.fail) == ""


def test_variation_is_that_of_differences_over_blocks():
    values = {"a": (50.0, 52.0, 54.0), "b": (51.0, 54.0, 54.0)}
    records = [
        _record(f"{i:08x}{block}", cell, block, own)
        for i, (cell, column) in enumerate(values.items())
        for block, own in enumerate(column)
    ]
    found = variation(records, "smoke", None)
    assert found.measured and found.sd_mm == pytest.approx(np.std([1, 2, 0], ddof=1))
    assert variation([], "smoke", None).sd_mm == recorded_variance().paired_mm
    assert variation(records, "smoke", 0.9).sd_mm == 0.9


def _record(trial_id, cell, block, median_mm, epoch=3):
    return TrialRecord(
        trial_id=trial_id,
        study="smoke",
        stage="objectives",
        cell=cell,
        composition="none",
        objective="contrastive",
        block=block,
        outcome="completed",
        epoch=epoch,
        epochs=3,
        metrics={"median_mm": median_mm},
    )


def confirmed(**more):
    """Four cells with two seeds, nine epochs each, and a confirmation of some of them."""
    names = ("blur", "cutout", "noise", "rotate")
    return Study.parse(
        {
            "name": "x",
            "blocks": [1, 2],
            "halving": None,
            "references": False,
            "pretrain": {"epochs": 9, "optimizer": {"warmup_epochs": 1}},
            "stages": [
                {"kind": "cells", "all": [{"composition": one} for one in names]},
                {"kind": "confirmation", "after": "cells", **more},
            ],
        }
    )


@pytest.mark.parametrize(
    ("more", "cells", "epochs"),
    [({}, 4, 4 * 3 * 9), ({"most": 2}, 2, 2 * 3 * 9), ({"seeds": [5, 6, 7, 8]}, 4, 4 * 4 * 9)],
)
def test_the_share_of_the_confirmation_counts_its_cells_on_its_seeds(tmp_path, more, cells, epochs):
    (found,) = StudyPlan(confirmed(**more), tmp_path).confirmations
    assert (found.cells, found.epochs, found.of_epochs) == (cells, epochs, epochs + 4 * 2 * 9)
    assert found.share == pytest.approx(epochs / (epochs + 72))
    assert found.advised_most == 2  # a tenth is less than two cells


def test_the_plan_says_how_to_reach_a_tenth_of_the_budget(tmp_path, capfd):
    file = tmp_path / "x.yaml"
    words = ["study", "plan", str(file), "--no-measure", "--storage", str(tmp_path / "runs")]
    said = {}
    for name, more in (("four", {}), ("two", {"most": 2})):
        file.write_text(confirmed(**more).model_dump_json())  # JSON is YAML
        invoke(words)
        said[name] = capfd.readouterr().out
    four = "4 cells at most and the references on 3 fresh seeds, 108 of 180 epochs (60 %)"
    assert f"{four}; the aim is about 10 %, reached with most: 2" in said["four"]
    assert "54 of 126 epochs (43 %); the aim is about 10 %, but never less than two" in said["two"]
    invoke([*words, "--json"])
    (found,) = json.loads(capfd.readouterr().out)["confirmations"]
    assert found["share"] == pytest.approx(54 / 126) and found["seeds"] == 3
