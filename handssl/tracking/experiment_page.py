"""Address of a study's runs on MLflow's pages."""

from __future__ import annotations

from mlflow.exceptions import MlflowException

from handssl.tracking.mlflow_client import open_client


def experiment_page(tracking_uri: str, study: str, server: str) -> str:
    """Return the address of a study's experiment, or of the server if there is none yet.

    Args:
        tracking_uri: URI of the MLflow store with the runs.
        study: Name of the study.
        server: URL of MLflow's pages, `http://host:port`.
    """
    try:
        found = open_client(tracking_uri).get_experiment_by_name(study)
    except MlflowException:
        found = None
    root = server.rstrip("/")
    return f"{root}/#/experiments/{found.experiment_id}" if found else root
