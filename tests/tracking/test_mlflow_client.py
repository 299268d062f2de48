"""An MLflow store of our own is there as a whole or not at all."""

import contextlib
import subprocess
import sys
from pathlib import Path

from handssl.tracking.mlflow_client import connect

MAKE = "import sys; from handssl.tracking.mlflow_client import connect; connect(sys.argv[1], 's')"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def is_begun(folder: Path) -> bool:
    """Say whether anything is written; what another process writes may be gone at a second look."""
    with contextlib.suppress(FileNotFoundError):
        return any(path.stat().st_size for path in folder.iterdir())
    return False


def test_a_process_that_is_killed_while_it_makes_the_store_leaves_none_in_the_way(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with subprocess.Popen([sys.executable, "-c", MAKE, uri]) as maker:
        while not is_begun(tmp_path) and maker.poll() is None:
            pass  # until the first table is written
        maker.kill()
    assert "mlflow.db" not in names(tmp_path)
    client, experiment = connect(uri, "s")
    assert client.get_experiment(experiment).name == "s"
    assert connect(uri, "s")[1] == experiment
    assert names(tmp_path) == {"mlflow.db"}


def test_making_a_store_leaves_no_other_file(tmp_path):
    connect(f"sqlite:///{tmp_path / 'deep' / 'mlflow.db'}", "s")
    assert names(tmp_path / "deep") == {"mlflow.db"}
