"""New MLflow stores as copies of one: MLflow needs seconds for each that it makes itself."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="session", autouse=True)
def copied_stores(tmp_path_factory):
    """Copy what one call has made; where a process is started, the store is made as ever."""
    from handssl.tracking import mlflow_client

    make, first = mlflow_client._make, tmp_path_factory.mktemp("store") / "mlflow.db"

    def copy(path):
        if not first.exists():
            make(first)
        shutil.copyfile(first, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_client, "_make", copy)
        yield
