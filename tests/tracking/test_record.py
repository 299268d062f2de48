"""The local record: whole, in order, each epoch once."""

import pytest

from handssl.errors import DataError
from handssl.tracking import TrialRecord, TrialStore

ID = "0123456789abcdef"


def record(**changes):
    values = {
        "trial_id": ID,
        "study": "s",
        "stage": "objectives",
        "cell": "relative rotate",
        "composition": "rotate",
        "objective": "relative",
        "block": 1,
        "outcome": "running",
        "epochs": 3,
    }
    return TrialRecord.parse({**values, **changes})


@pytest.fixture
def store(tmp_path):
    return TrialStore(tmp_path)


def test_a_record_is_read_as_it_was_written(store):
    written = record(metrics={"median_mm": 61.25}, tags={"message": "ü"}, epoch=2)
    store.save(written)
    assert store.load(ID) == written
    assert store.all() == (written,)


def test_a_trial_that_was_never_started_has_no_record(store):
    assert store.load(ID) is None
    assert store.history(ID) == []


def test_saving_leaves_no_other_file_behind(store):
    store.save(record())
    store.save(record(outcome="completed"))
    assert [path.name for path in store.folder(ID).iterdir()] == ["trial.json"]


def test_a_damaged_record_is_named_with_what_to_do(store):
    store.save(record())
    (store.folder(ID) / "trial.json").write_text("{")
    with pytest.raises(DataError, match=r"trial\.json[\s\S]*remove .* to run the trial again"):
        store.load(ID)


def test_each_epoch_is_recorded_once_and_the_first_value_stays(store):
    store.append_epoch(ID, 1, {"median_mm": 70.0})
    store.append_epoch(ID, 2, {"median_mm": 65.0})
    store.append_epoch(ID, 1, {"median_mm": 1.0})
    assert [(e.epoch, e.metrics["median_mm"]) for e in store.history(ID)] == [(1, 70.0), (2, 65.0)]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_cut_off_by_a_crash_is_dropped_and_written_again(store, cut):
    for epoch in (1, 2):
        store.append_epoch(ID, epoch, {"median_mm": 70.0 - epoch})
    path = store.folder(ID) / "epochs.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    survivors = [1, 2] if cut == 1 else [1]
    assert [entry.epoch for entry in store.history(ID)] == survivors
    for epoch in (2, 3):
        store.append_epoch(ID, epoch, {"median_mm": 70.0 - epoch})
    assert [(e.epoch, e.metrics["median_mm"]) for e in store.history(ID)] == [
        (1, 69.0),
        (2, 68.0),
        (3, 67.0),
    ]
