"""A storage with any name keeps its results to itself, and may be moved or copied."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from handssl.service.dispatch.managed_subprocess import free_port
from tests.printed import NAME, Shell

pytestmark = [pytest.mark.faults, pytest.mark.long]

RUN = {
    "name": "one",
    "data": {"name": "blobs"},
    "pretrain": {
        "composition": ["rotate"],
        "objective": "relative",
        "epochs": 2,
        "global_batch": 16,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 1},
    },
}
LOAD = """
import sys, mlflow, numpy as np
from handssl.runtime.sqlite_url import sqlite_url
from pathlib import Path
mlflow.set_tracking_uri(sqlite_url(Path(sys.argv[1]) / "mlflow.db"))
model = mlflow.pyfunc.load_model(sys.argv[2], dst_path=sys.argv[3] if sys.argv[3:] else None)
features = model.predict(np.zeros((1, 3, 32, 32), np.float32))
print(features.shape)
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory, blob_data):
    """A shell in a folder with the configuration of a short run."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN), encoding="utf-8")
    return Shell(folder, HANDSSL_STORES=str(blob_data.parent))


@pytest.fixture(scope="module")
def pretrained(shell, tmp_path_factory):
    """A storage with a pretrained encoder."""
    storage = tmp_path_factory.mktemp("storages") / NAME
    shell.run("pretrain", "run.yaml", "--quiet", "--storage", str(storage))
    return storage


def content(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def model(storage: Path) -> str:
    with contextlib.closing(sqlite3.connect(storage / "mlflow.db")) as base:
        ((name,),) = base.execute("select model_id from logged_models").fetchall()
    return f"models:/{name}"


def loaded(storage: Path, *target: str) -> str:
    """Load the only model of a storage in MLflow as its users do, and apply it."""
    line = [sys.executable, "-c", LOAD, str(storage), model(storage), *target]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


def test_everything_is_in_the_storage_and_nothing_beside_it(pretrained, tmp_path):
    assert [path.name for path in pretrained.parent.iterdir()] == [pretrained.name]
    names = {path.name for path in pretrained.iterdir()}
    assert {"ledger.db", "mlflow.db", "mlartifacts", "trials"} <= names
    # MLflow itself decodes the %41 of a path that it reads a model from without a copy.
    assert loaded(pretrained, str(tmp_path)) == "(1, 64)\n"


def test_storages_whose_names_a_url_would_confuse_share_nothing(shell, pretrained):
    twins = [pretrained.with_name(name) for name in ("a bA", "a b%41", "a b", "a b%2541?c")]
    for twin in twins:
        shell.run("report", str(twin), code=2)
        assert not twin.exists()
    other = pretrained.with_name(NAME.replace("%41", "A"))
    shell.run("pretrain", "run.yaml", "--quiet", "--storage", str(other))
    shutil.rmtree(other / "datasets", ignore_errors=True)
    assert list(other.glob("trials/*/encoder.safetensors"))
    assert model(other) != model(pretrained)
    shutil.rmtree(other)


def test_a_moved_storage_has_its_models_and_writes_new_ones_where_it_is(
    shell, pretrained, tmp_path
):
    old, new = tmp_path / "old", tmp_path / "new 100%"
    shutil.copytree(pretrained, old)
    shell.run("report", str(old))
    old.rename(new)
    shell.run("report", str(new))
    assert loaded(new) == "(1, 64)\n"
    again = ("--set", "pretrain.seed=2", "--quiet", "--storage", str(new))
    shell.run("pretrain", "run.yaml", *again)
    assert len(list(new.glob("mlartifacts/models/*/artifacts/MLmodel"))) == 2
    assert not old.exists()


def test_what_runs_in_a_copy_leaves_the_original_as_it_was(shell, pretrained, tmp_path):
    copy, before = tmp_path / "copy", content(pretrained)
    shutil.copytree(pretrained, copy)
    again = ("--set", "pretrain.seed=3", "--quiet", "--storage", str(copy))
    shell.run("pretrain", "run.yaml", *again)
    shell.run("study", "compare", "one", "--storage", str(copy), code=2)
    assert content(pretrained) == before
    assert len(list(copy.glob("mlartifacts/models/*/artifacts/MLmodel"))) == 2


@contextlib.contextmanager
def serving(shell: Shell, storage: Path, *options: str) -> Iterator[str]:
    """Serve a queue whose Ray is not there; give the URL of its MLflow once it answers."""
    port, mlflow = free_port(), free_port()
    words = ["--storage", str(storage), "--port", str(port), "--ray", "http://127.0.0.1:9"]
    process = shell.start("serve", *words, "--mlflow-port", str(mlflow), *options)
    try:
        url, deadline_s = f"http://127.0.0.1:{mlflow}", time.monotonic() + 240
        while not _answers(url):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{url}/health", timeout=2).ok
    return False


def test_the_server_of_a_service_keeps_files_in_the_storage(shell, tmp_path, monkeypatch):
    import mlflow

    storage = tmp_path / NAME
    with serving(shell, storage) as url:
        client = mlflow.MlflowClient(url)
        run = client.create_run(client.create_experiment("study"))
        client.log_text(run.info.run_id, "text", "file.txt")
        names = [one.path for one in client.list_artifacts(run.info.run_id)]
        assert names == ["file.txt"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    (written,) = tmp_path.rglob("file.txt")
    assert written.is_relative_to(storage / "mlartifacts")
    with contextlib.closing(sqlite3.connect(storage / "service.db")) as base:
        tables = {name for (name,) in base.execute("select name from sqlite_master")}
    assert {"jobs", "workflow_status"} <= tables


def test_a_server_that_asks_for_a_password_keeps_its_accounts_in_the_storage(shell, tmp_path):
    storage = tmp_path / NAME
    words = ("--mlflow-host", "0.0.0.0", "--host", "127.0.0.1")
    with serving(shell, storage, *words) as url:
        search = f"{url}/api/2.0/mlflow/experiments/search?max_results=1"
        assert requests.get(search, timeout=30).status_code == 401
        password = (storage / "service" / "mlflow_password").read_text()
        assert requests.get(search, auth=("handssl", password), timeout=30).ok
    assert (storage / "service" / "mlflow_users.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_service_in_a_copy_leaves_the_programs_of_the_original_alone(shell, tmp_path):
    first, copy = tmp_path / "first", tmp_path / "copy"
    with serving(shell, first) as url:
        shutil.copytree(first, copy)
        with serving(shell, copy) as other:
            assert other != url
        assert _answers(url)
