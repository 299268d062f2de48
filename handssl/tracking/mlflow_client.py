"""Access to an MLflow store: one experiment per study, bounded waiting, two kinds of errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# stdout is for results; MLflow would print a line there for every run that ends.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import psutil
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.tracking._tracking_service import utils as service
from sqlalchemy.exc import SQLAlchemyError

from handssl.errors import TakenOverError
from handssl.runtime.secrets import masked
from handssl.runtime.sqlite_url import sqlite_path, sqlite_url
from handssl.tracking.conventions import artifact_location
from handssl.tracking.outbox import UnavailableError
from handssl.tracking.relocation import relocate
from handssl.tracking.views import KIND, missing_tags

# MLflow reads these at every request and has no argument for them; its own defaults wait for
# minutes. Values that the user has set take precedence.
_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the outbox retries, and first checks what arrived
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "60",
}
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE")
# Errors are raised as exceptions too, and then reported once, not at every attempt.
for _noisy in ("alembic", "mlflow"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL)


class RefusedError(Exception):
    """The store is reachable but rejects the request, e.g. because the run was deleted."""


def connect(tracking_uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """Open a store; the first call creates its schema and the experiment.

    Args:
        tracking_uri: `sqlite:///...` or a server's address.
        experiment: Name of the experiment.

    Returns:
        The client and the experiment's id.
    """
    _make_whole(tracking_uri)
    client = open_client(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        place = artifact_location(tracking_uri)
        name, tags = str(client.create_experiment(experiment, place, KIND)), KIND
    else:
        name, tags = str(found.experiment_id), found.tags
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(name)
    for tag, value in missing_tags(name, tags).items():
        client.set_experiment_tag(name, tag, value)
    return client, name


def open_client(tracking_uri: str) -> MlflowClient:
    """Return a client with a request timeout; nothing is created.

    Args:
        tracking_uri: `sqlite:///...` or a server's address.

    Raises:
        UnavailableError: The store was moved and cannot be written.
    """
    if tracking_uri.startswith("http"):
        for name, value in _BOUNDS.items():
            os.environ.setdefault(name, value)
    relocate(tracking_uri)
    # MLflow caches artifact locations by run id; a copy of a storage has the same run ids.
    getattr(service, "_artifact_repos_cache", {}).clear()
    return MlflowClient(tracking_uri)


def _make_whole(tracking_uri: str) -> None:
    """Create a missing SQLite store under a temporary name first.

    MLflow cannot open a store whose tables are incomplete because a process was killed.
    """
    path = sqlite_path(tracking_uri)
    if path is None or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{path.name}.new-*"):
        pid = left.name.rpartition("-")[2]
        if not (pid.isdecimal() and psutil.pid_exists(int(pid))):
            left.unlink(missing_ok=True)
    partial = path.with_name(f"{path.name}.new-{os.getpid()}")
    _make(partial)
    with suppress(FileExistsError):  # another process was faster
        path.hardlink_to(partial)
    partial.unlink()


def _make(path: Path) -> None:
    MlflowClient(sqlite_url(path)).search_experiments(max_results=1)


@contextmanager
def sorted_errors() -> Iterator[None]:
    """Convert the errors of MLflow and its stores to two kinds.

    Raises:
        RefusedError: The request would fail again.
        UnavailableError: A later attempt may succeed.
    """
    try:
        yield
    except MlflowException as error:
        kind = RefusedError if error.error_code in _REFUSALS else UnavailableError
        raise kind(_first_line(error)) from error
    # A store of another kind needs a driver; if that is missing, ImportError is raised.
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise UnavailableError(_first_line(error)) from error


def keep(client: MlflowClient, run: Run, require: Callable[[], None]) -> None:
    """Keep a newly created run, or delete it if another driver has taken over meanwhile.

    Args:
        client: Client of the run's store.
        run: The new run, not yet known to other processes.
        require: Raises TakenOverError if another driver has taken over.

    Raises:
        TakenOverError: Another driver has taken over; the run is deleted.
    """
    try:
        require()
    except TakenOverError:
        client.delete_run(run.info.run_id)
        raise


def _first_line(error: Exception) -> str:
    text = masked(str(error).strip())
    return text.splitlines()[0][:300] if text else repr(error)
