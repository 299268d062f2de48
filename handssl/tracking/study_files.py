"""Attach files of a whole study to its MLflow experiment."""

from __future__ import annotations

from collections.abc import Mapping

from handssl.tracking.mlflow_client import RefusedError, sorted_errors
from handssl.tracking.mlflow_store import MlflowRuns
from handssl.tracking.outbox import UnavailableError
from handssl.tracking.stage_view import attach

WAIT_S = 10.0


def log_files(
    tracking_uri: str, study: str, stage: str, files: Mapping[str, str], *, wait_s: float = WAIT_S
) -> str:
    """Attach files to the run of a stage, unless it has them; never waits longer than asked.

    Args:
        tracking_uri: URI of the MLflow store.
        study: Name of the experiment.
        stage: Name of the stage.
        files: Text of each file by its name.
        wait_s: Longest time to wait, seconds.

    Returns:
        Reason why they are not attached; empty if they are.
    """
    import threading

    reasons = [f"MLflow did not answer within {wait_s:g} s"]

    def deliver() -> None:
        try:
            _attach(tracking_uri, study, stage, files)
            reasons[0] = ""
        except (UnavailableError, RefusedError) as error:
            reasons[0] = str(error)

    # The request timeout of a client does not cover stores that are opened directly.
    thread = threading.Thread(target=deliver, name="study-files", daemon=True)
    thread.start()
    thread.join(wait_s)
    return reasons[0]


def _attach(tracking_uri: str, study: str, stage: str, files: Mapping[str, str]) -> None:
    with sorted_errors():
        runs = MlflowRuns(tracking_uri, study)
        run_id = runs.stage_run(stage)
        tags = dict(runs.client.get_run(run_id).data.tags)
        for name, text in files.items():
            for key, digest in attach(runs.client, run_id, tags, name, text).items():
                runs.client.set_tag(run_id, key, digest)
