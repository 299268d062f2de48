"""Artifacts of a storage that was moved or copied are looked for, and written, where it is now."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from mlflow.tracking import MlflowClient

from handssl.runtime.sqlite_url import sqlite_url
from handssl.tracking.mlflow_client import connect, open_client
from handssl.tracking.outbox import UnavailableError
from handssl.tracking.relocation import relocate


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A storage with a run, a model and a registered version of it."""
    folder = tmp_path_factory.mktemp("made") / "first 100% ü"
    client, experiment = connect(sqlite_url(folder / "mlflow.db"), "study")
    run = client.create_run(experiment)
    client.log_text(run.info.run_id, "text", "file.txt")
    model = client.create_logged_model(experiment, "encoder", run.info.run_id)
    (folder / "weights").write_text("weights")
    client.log_model_artifact(model.model_id, str(folder / "weights"))
    client.create_registered_model("best")
    client.create_model_version("best", f"{run.info.artifact_uri}/model", run.info.run_id)
    return folder


@pytest.fixture
def copied(made, tmp_path):
    """A copy of it, somewhere else."""
    return shutil.copytree(made, tmp_path / "second #2")


def locations(folder):
    """Return every location that MLflow's file holds."""
    query = (
        "select artifact_location from experiments where experiment_id > 0 "
        "union all select artifact_uri from runs "
        "union all select artifact_location from logged_models "
        "union all select source from model_versions"
    )
    with closing(sqlite3.connect(folder / "mlflow.db")) as base:
        return [place for (place,) in base.execute(query)]


def test_all_locations_of_a_copy_are_those_of_the_copy(made, copied):
    before = locations(made)
    assert relocate(sqlite_url(copied / "mlflow.db"))
    assert len(locations(copied)) == 4
    assert all(one.startswith((copied / "mlartifacts").as_uri()) for one in locations(copied))
    assert locations(made) == before


def test_what_was_logged_before_is_read_and_what_is_new_is_written_in_the_copy(made, copied):
    known = sorted(made.rglob("*"))
    client = open_client(sqlite_url(copied / "mlflow.db"))
    (old,) = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    client.log_text(old.info.run_id, "more", "more.txt")
    names = [one.path for one in client.list_artifacts(old.info.run_id)]
    assert names == ["file.txt", "more.txt"]
    new = client.create_run(old.info.experiment_id)
    client.log_text(new.info.run_id, "text", "new.txt")
    assert list(copied.rglob("new.txt"))
    assert sorted(made.rglob("*")) == known


def test_the_second_time_nothing_is_changed(copied):
    uri = sqlite_url(copied / "mlflow.db")
    assert relocate(uri)
    content = (copied / "mlflow.db").read_bytes()
    assert not relocate(uri)
    assert (copied / "mlflow.db").read_bytes() == content


def test_locations_that_were_never_beside_the_store_stay(copied):
    uri = sqlite_url(copied / "mlflow.db")
    places = ["s3://lab/mlartifacts", "mlflow-artifacts:/7", "file:///elsewhere/mlartifacts/8"]
    for number, place in enumerate(places):
        MlflowClient(uri).create_experiment(str(number), place)
    relocate(uri)
    assert set(places) < set(locations(copied))


def test_a_change_that_was_cut_off_has_changed_nothing(copied):
    uri, before = sqlite_url(copied / "mlflow.db"), locations(copied)
    with closing(sqlite3.connect(copied / "mlflow.db")) as base:
        base.execute(
            "create trigger stop before update on logged_models "
            "begin select raise(abort, 'disk full'); end"
        )
        with pytest.raises(UnavailableError, match="disk full"):
            relocate(uri)
        base.execute("drop trigger stop")
    assert locations(copied) == before
    assert relocate(uri)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes what is read-only")
def test_a_store_that_cannot_be_written_is_named(copied):
    (copied / "mlflow.db").chmod(0o400)
    with pytest.raises(UnavailableError, match=r"mlflow\.db"):
        relocate(sqlite_url(copied / "mlflow.db"))


def test_a_server_and_a_store_that_is_not_there_are_left_alone(tmp_path):
    assert not relocate("http://tracking:5000")
    assert not relocate(sqlite_url(tmp_path / "mlflow.db"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mlflow.db").touch()
    assert not relocate(sqlite_url(tmp_path / "mlflow.db"))
