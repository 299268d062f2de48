from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import handssl
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.report.facts import shared_settings, study_facts


def save(storage: Path, number: int, objective: str, **config) -> TrialRecord:
    record = TrialRecord(
        trial_id=f"{number:016x}",
        study="demo",
        stage="objectives",
        cell=f"{objective} rotate",
        composition="rotate",
        objective=objective,
        block=1,
        outcome="completed",
        epoch=1,
        epochs=1,
        metrics={"median_mm": 60.0 + number},
        config={"epochs": 1, "encoder": {"width": 16}, "seed": 1, **config},
    )
    Ledger(storage).save(record)
    Ledger(storage).append_epoch(record.trial_id, 1, {"median_mm": 60.0 + number})
    return record


def result_in(storage: Path) -> SimpleNamespace:
    records = (save(storage, 1, "contrastive"), save(storage, 2, "relative"))
    study = SimpleNamespace(name="demo")
    uri = "sqlite://"
    return SimpleNamespace(study=study, storage=storage, tracking_uri=uri, records=records)


def test_the_package_can_be_called_and_writes_the_page_into_the_storage(tmp_path):
    page = handssl.write_report(result_in(tmp_path))
    assert page == tmp_path / "demo.html"
    assert "contrastive" in page.read_text(encoding="utf-8")


def test_another_path_can_be_chosen(tmp_path):
    page = handssl.write_report(result_in(tmp_path), str(tmp_path / "pages" / "mine.html"))
    assert page.read_text(encoding="utf-8").count('class="curve ') == 2


def test_shared_settings_are_those_with_one_value_in_all_trained_trials(tmp_path):
    records = [
        save(tmp_path, 1, "contrastive", global_batch=64),
        save(tmp_path, 2, "relative", global_batch=128),
        save(tmp_path, 3, "reference", encoder={"width": 64}),
    ]
    assert shared_settings(records) == {"encoder.width": "16", "epochs": "1"}


def test_facts_count_the_outcomes_and_name_the_versions(tmp_path):
    facts = study_facts([save(tmp_path, 1, "contrastive")], tmp_path)
    assert facts["trials"] == "1 completed"
    assert facts["storage"] == str(tmp_path)
    assert "version of torch" in facts


def test_facts_of_no_records_are_still_facts(tmp_path):
    assert study_facts([], tmp_path)["trials"] == ""


def test_importing_the_report_loads_neither_ray_nor_mlflow():
    code = (
        "import sys, handssl.report.page, handssl.report.facts;"
        "sys.exit(bool({'ray', 'mlflow', 'torch'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_facts_name_the_machines_and_threads_that_trained(tmp_path):
    names = ("machine.cpu", "machine.vector", "machine.threads")
    records = [
        save(tmp_path, number, "relative").model_copy(
            update={"tags": dict(zip(names, values, strict=True))}
        )
        for number, values in enumerate(
            [("EPYC", "AVX2", "1"), ("Xeon", "AVX512", "2")] * 2 + [("Xeon", "AVX512", "2")]
        )
    ]
    untagged, reference = save(tmp_path, 8, "relative"), save(tmp_path, 9, "reference")
    facts = study_facts([*records, untagged, reference], tmp_path)
    assert facts["trained on"] == (
        "Xeon, AVX512, threads: 2 (3 trials); EPYC, AVX2, threads: 1 (2 trials)"
    )
