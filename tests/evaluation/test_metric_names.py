"""What is written to MLflow has a name in the one table, which the documentation shows."""

from pathlib import Path

from handssl.evaluation.metric_names import METRICS, markdown, name_of
from handssl.ledger import Ledger
from handssl.training import PretrainConfig, Trial
from tests.execution.test_stage_summary import rows
from tests.numerics import config_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "tracking.md"


def test_every_metric_of_trials_has_an_entry(blob_data, tmp_path):
    names = {"time/epoch_s", "time/device_s", "diverged"}
    for case in ("mixed, split", "supervised"):
        config: PretrainConfig = config_of(case)
        for result in Trial(config, blob_data, tmp_path / case).epochs():
            names |= result.metrics.keys()
    assert {name for name in names if name_of(name) is None} == set()


def test_every_metric_of_cells_has_an_entry(tmp_path):
    values = {("relative rotate", block): ("completed", 70.0 + block) for block in (1, 2)}
    metrics = rows(values, Ledger(tmp_path))["relative rotate"].metrics
    assert {name for name in (*metrics, "updates") if "cell" not in name_of(name).on} == set()


def test_the_entries_are_distinct_and_a_misspelt_name_has_none():
    assert len({name.pattern for name in METRICS}) == len(METRICS)
    assert name_of("train/los") is None
    assert name_of("median") is None


def test_the_documentation_shows_the_table_as_it_is():
    assert markdown() in DOCUMENT.read_text(encoding="utf-8")
