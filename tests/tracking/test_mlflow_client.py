"""An MLflow store of our own is there as a whole or not at all."""

import subprocess
import sys
from pathlib import Path

from handssl.tracking.mlflow_client import connect

MAKE = "import sys; from handssl.tracking.mlflow_client import connect; connect(sys.argv[1], 's')"


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_a_process_that_is_killed_while_it_makes_the_store_leaves_none_in_the_way(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with subprocess.Popen([sys.executable, "-c", MAKE, uri]) as maker:
        while not any(sizes(tmp_path).values()) and maker.poll() is None:
            pass  # until the first table is written
        maker.kill()
    assert "mlflow.db" not in sizes(tmp_path)
    client, experiment = connect(uri, "s")
    assert client.get_experiment(experiment).name == "s"
    assert connect(uri, "s")[1] == experiment
    assert set(sizes(tmp_path)) == {"mlflow.db"}


def test_making_a_store_leaves_no_other_file(tmp_path):
    connect(f"sqlite:///{tmp_path / 'deep' / 'mlflow.db'}", "s")
    assert set(sizes(tmp_path / "deep")) == {"mlflow.db"}
