"""Published numbers stand beside a study's own only where the protocol is the same."""

from __future__ import annotations

import json

import pytest

from handssl.data.readers.freihand.splits import RULES
from handssl.ledger.record import TrialRecord
from handssl.report.formats.markdown import markdown
from handssl.report.published.matching import comparable
from handssl.report.published.numbers import PUBLISHED, SOURCES
from handssl.transforms.names import TRANSFORMATIONS
from tests.report.made_up import page_of, report_of

SPLITS = {"pretrain": 105_616, "probe": 105_616, "select": 11_600, "test": 13_024}
DATA = {
    "dataset": "freihand",
    "split_rule": RULES["published_90_10"],
    "crop": "published",
    "box": "labels",
    "splits": SPLITS,
}
NAME = "test/ridge/abs_recovered_21_boxpub"


def record(objective="contrastive", composition="rotate", block=1, measure=NAME, **changed):
    values = {"mean_mm": 700.0 + block, "median_mm": 500.0 + block}
    return TrialRecord(
        trial_id=f"{block:08x}",
        **{"study": "s", "stage": "cells", "cell": f"{objective} {composition}"},
        **{"composition": composition, "objective": objective, "block": block},
        **{"outcome": "completed", "epoch": 6, "epochs": 6},
        metrics={"median_mm": 60.0, **{f"{measure}/{k}": v for k, v in values.items()}},
        tags={"data_source": json.dumps({"labelled": DATA | changed})},
    )


def found_for(*records):
    return comparable(report_of(records=records))


def test_the_same_protocol_stands_beside_the_published_number_of_the_same_cell():
    found = found_for(record(block=1), record(block=3), record("relative", "sobel", 2))
    (row,) = found.rows
    assert (row.label, row.seeds, row.mean_mm, row.median_mm) == (
        *("contrastive rotate", 2, 702.0, 502.0),
    )
    # Table 5 of the paper: rotate, contrastive, MPJE 73.01 cm, median 54.21 cm.
    assert (row.published.mean_mm, row.published.median_mm) == (730.1, 542.1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dataset": "procedural"}, "errors on procedural data"),
        ({"split_rule": RULES["blocks"]}, "differ in split"),
        ({"crop": "extent"}, "differ in crop boxes"),
        ({"box": "detector"}, "differ in crop boxes"),
        ({"splits": SPLITS | {"test": 3_256}}, "differ in number of images"),
    ],
)
def test_another_protocol_is_never_shown_beside_a_published_number(changed, said):
    records = [
        record(one.objective, one.composition or "none", n, **changed)
        for n, one in enumerate(PUBLISHED, start=1)
    ]
    found = found_for(*records)
    assert found.rows == ()
    assert said in found.sentence
    assert found.sentence.endswith(".")
    text = page_of(records=records)
    assert said in text
    assert "published-note" not in text


def test_a_cell_of_other_settings_or_another_measure_is_not_the_published_one():
    other = record().model_copy(update={"cell": "contrastive rotate temperature=0.1"})
    assert found_for(other).rows == ()
    other = record(measure="test/ridge/root_gtroot_20_boxpub")
    assert found_for(other).rows == ()


def test_trials_that_do_not_name_their_data_say_so():
    nameless = record().model_copy(update={"tags": {}})
    assert "do not name the split" in found_for(nameless).sentence
    assert comparable(report_of()) is None


def test_page_and_markdown_name_the_source_and_what_still_differs():
    found = report_of(records=[record()])
    for text in (page_of(records=[record()]), markdown(found)):
        assert "730.1" in text
        assert "PMLR 148:255-271, 2021, Table 5" in " ".join(text.split())
        assert "ImageNet weights" in text


def test_every_published_number_has_a_source_and_compositions_are_canonical():
    for one in PUBLISHED:
        assert one.source in SOURCES
        names = [name for name in one.composition.split("+") if name]
        assert names == sorted(names)
        assert set(names) <= set(TRANSFORMATIONS)
        assert one.mean_mm > 0
