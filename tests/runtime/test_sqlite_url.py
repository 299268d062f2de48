"""A path survives as a URL whatever is in its name, in all libraries that open it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from handssl.runtime.sqlite_url import sqlite_path, sqlite_url
from handssl.service.dispatch.workflows import dbos_url
from handssl.tracking.mlflow_client import connect

NAMES = ("a b", "%41", "100%", "who?", "#1", "jörg", "it's", 'a"b', "a+b", "a@b:c", "a&b=c;d", "~x")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_path_comes_back_from_its_url(name):
    path = Path("/storage") / name / "ledger.db"
    assert sqlite_path(sqlite_url(path)) == path
    assert sqlite_path(dbos_url(sqlite_url(path))) == path


@pytest.mark.parametrize("name", NAMES)
def test_sqlalchemy_opens_the_file_that_was_named(tmp_path, name):
    (tmp_path / name).mkdir()
    engine = create_engine(sqlite_url(tmp_path / name / "x.db"))
    with engine.begin() as connection:
        connection.exec_driver_sql("create table t (x)")
    engine.dispose()
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.db")] == [Path(name) / "x.db"]


def test_mlflow_writes_beside_its_file_and_makes_no_other_folder(tmp_path):
    folder = tmp_path / "a b%41?c#ü 'd"
    client, experiment = connect(sqlite_url(folder / "mlflow.db"), "study")
    run = client.create_run(experiment)
    client.log_text(run.info.run_id, "text", "file.txt")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    (written,) = folder.rglob("file.txt")
    assert written.is_relative_to(folder / "mlartifacts")
    with closing(sqlite3.connect(folder / "mlflow.db")) as base:
        assert base.execute("select name from experiments where experiment_id > 0").fetchall()


@pytest.mark.parametrize(
    "url", ["http://head:5000", "postgresql://a@b/c", "sqlite://", "x", "s://"]
)
def test_what_names_no_file_has_no_path(url):
    assert sqlite_path(url) is None
