"""Runs found by name, from what lies in a storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from handssl.errors import DataError, InputError
from handssl.execution.resume import require_trial, resume
from handssl.execution.storage import default_tracking_uri
from handssl.execution.trial_files import RunFile
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.study.run_config import RunConfig

RUN = RunConfig.parse({"name": "mine", "pretrain": {"composition": ["rotate"], "epochs": 20}})
FIRST, SECOND = "abcd000000000000", "abce000000000000"


def record(trial_id: str, **changes: object) -> TrialRecord:
    known = TrialRecord(
        trial_id=trial_id,
        study="mine",
        stage="pretrain",
        cell="contrastive rotate",
        composition="rotate",
        objective="contrastive",
        block=1,
        outcome="running",
        epoch=3,
        epochs=20,
        mlflow_run_id="f" * 28 + trial_id[:4],
        config=RUN.pretrain.model_dump(mode="json"),
    )
    return known.model_copy(update=changes)


@pytest.fixture
def store(tmp_path: Path) -> Ledger:
    """A storage with two runs that were stopped."""
    store = Ledger(tmp_path / "runs")
    for trial_id in (FIRST, SECOND):
        store.save(record(trial_id))
        uri = default_tracking_uri(store.storage)
        RunFile.of(RUN, uri, store.storage).save(store.folder(trial_id))
    return store


@pytest.mark.parametrize("name", [FIRST, "abcd", "f" * 28 + "abcd"], ids=["id", "start", "mlflow"])
def test_a_run_is_found_by_its_trial_and_by_its_mlflow_run(store, name) -> None:
    found = resume(name, storage=store.storage)
    assert found.record.trial_id == FIRST
    assert found.run == RUN
    assert found.tracking_uri == default_tracking_uri(store.storage)
    assert not found.is_finished


def test_the_folder_of_a_run_says_where_the_storage_is(store) -> None:
    found = resume(str(store.folder(SECOND)))
    assert (found.record.trial_id, found.storage) == (SECOND, store.storage)
    with pytest.raises(InputError, match="leave --storage out"):
        resume(str(store.folder(SECOND)), storage=store.storage.parent)


def test_a_start_that_fits_two_lists_both(store) -> None:
    with pytest.raises(InputError) as caught:
        resume("abc", storage=store.storage)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("--resume abc: expected one run, 2 in ")
    assert lines[1:] == [
        f"  {name}  contrastive rotate, block 1: running, epoch 3 of 20" for name in (FIRST, SECOND)
    ]


def test_a_name_that_nothing_has_gets_the_nearest_and_all_there_are(store) -> None:
    with pytest.raises(InputError) as caught:
        resume("abdd", storage=store.storage)
    assert "did you mean 'abcd'?" in str(caught.value)
    assert f"  {SECOND}  contrastive rotate" in str(caught.value)
    with pytest.raises(InputError, match="found none"):
        resume("abcd", storage=store.storage.parent)


def test_the_same_settings_may_be_given_again_and_no_others(store) -> None:
    assert resume("abcd", storage=store.storage, given=RUN).run == RUN
    same = {"pretrain.epochs": 20}
    assert resume("abcd", storage=store.storage, changes=same).run == RUN
    with pytest.raises(InputError, match=r"epochs: 20 in the run, 21 asked for"):
        resume("abcd", storage=store.storage, changes={"pretrain.epochs": 21})
    with pytest.raises(InputError, match=r"data\.seed: 0 in the run, 3 asked for"):
        resume("abcd", storage=store.storage, given=RUN.merged({"data.seed": 3}))


def test_a_run_goes_on_in_the_store_it_was_tracked_in(store) -> None:
    RunFile.of(RUN, "http://tracker:5000", store.storage).save(store.folder(FIRST))
    assert resume("abcd", storage=store.storage).tracking_uri == "http://tracker:5000"
    other = resume("abcd", storage=store.storage, tracking_uri="sqlite:///other.db")
    assert other.tracking_uri == "sqlite:///other.db"


def test_a_password_is_never_written_down(store) -> None:
    uri = "http://me:secret@tracker:5000"
    RunFile.of(RUN, uri, store.storage).save(store.folder(FIRST))
    assert "secret" not in (store.folder(FIRST) / "run.json").read_text(encoding="utf-8")


def test_a_trial_of_a_study_on_packed_data_needs_no_configuration(store) -> None:
    tags = dict.fromkeys(("data_labelled", "data_pretrain"), "freihand 0123456789abcdef")
    store.save(record("beef000000000000", tags=tags))
    found = resume("beef", storage=store.storage)
    assert found.run.pretrain == RUN.pretrain
    assert (found.run.data.name, found.run.data.fingerprint) == ("freihand", "0123456789abcdef")


def test_a_trial_of_a_study_on_procedural_data_asks_for_one(store) -> None:
    store.save(record("beef000000000000", tags={"data_labelled": "procedural 0123456789abcdef"}))
    with pytest.raises(InputError, match="give CONFIG too, or run the study mine again"):
        resume("beef", storage=store.storage)
    assert resume("beef", storage=store.storage, given=RUN).run == RUN


def test_a_reference_is_no_run(store) -> None:
    store.save(record("beef000000000000", objective="reference", cell="mean pose"))
    with pytest.raises(InputError, match="mean pose is a reference"):
        resume("beef", storage=store.storage)


def test_settings_that_cannot_be_read_are_named(store) -> None:
    (store.folder(FIRST) / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"run\.json: expected the settings of a run"):
        resume("abcd", storage=store.storage)


def test_other_data_than_then_is_refused() -> None:
    require_trial("abcd", None)
    require_trial("abcd", "abcd")
    with pytest.raises(InputError, match="with the current ones it is trial beef"):
        require_trial("beef", "abcd")


@pytest.mark.parametrize("outcome", ["completed", "diverged", "stopped"])
def test_a_run_with_an_outcome_is_finished(store, outcome) -> None:
    store.save(record(FIRST, outcome=outcome))
    assert resume("abcd", storage=store.storage).is_finished
