"""Public functions that run a study with a supervised driver of Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from handssl.execution.cluster.address import resolve_address
from handssl.execution.result import StudyResult
from handssl.execution.storage import resolve_storage
from handssl.execution.supervision.supervisor import Supervisor, is_connected
from handssl.planning.execution_options import ExecutionOptions
from handssl.runtime.interruption import Interruption
from handssl.study.events import Event, OnEvent
from handssl.study.study import Study

Run = Callable[..., StudyResult]


def run(
    study: Study,
    *,
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    options: ExecutionOptions | None = None,
    on_event: OnEvent | None = None,
    interruption: Interruption | None = None,
) -> StudyResult:
    """Run the trials of a study that no earlier run has finished.

    Ctrl-C and SIGTERM end it cleanly: finished trials are kept, running ones resume from their last
    epoch when the study is run again. Uses the Ray the caller has connected to, else that of
    `options.address` or $RAY_ADDRESS, else a local Ray, which is stopped afterwards. Other studies
    may run on the same storage: a trial that several studies include is run once.

    The driver of Ray is a separate process, since the end of Ray ends its drivers: a local Ray is
    then started again, and the study continues. If the caller has connected to Ray, the caller is
    the driver, and may end with that Ray.

    Args:
        study: The study to run.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        tracking_uri: MLflow store; default: SQLite in the storage.
        options: Execution options: resources of trials, and handling of lost ones.
        on_event: Called with every event, in this thread; see `handssl.study.events`.
        interruption: Setting its `requested` from another thread ends the study like Ctrl-C.

    Returns:
        The records of all trials; `interrupted` says whether some are missing.

    Raises:
        InputError: The study cannot be run, or another driver runs it.
        PausedStudyError: It was paused and has not been resumed.
        DatabaseAwayError: The ledger's server is not reachable at the start or for ten minutes.
        ClusterLostError: The Ray of another process has ended, or a local Ray ended repeatedly.
    """
    with runs(at_cluster(options, on_event or _ignore)) as run_one:
        return run_one(
            study,
            storage=storage,
            tracking_uri=tracking_uri,
            on_event=on_event,
            interruption=interruption,
        )


def at_cluster(options: ExecutionOptions | None, on_event: OnEvent) -> ExecutionOptions:
    """Return execution options with the resolved address, see `resolve_address`.

    Args:
        options: Execution options given by the caller.
        on_event: Called with a note if the address comes from the environment.
    """
    options = options or ExecutionOptions()
    if is_connected():
        return options  # the caller's connection takes precedence
    return options.model_copy(update={"address": resolve_address(options.address, on_event)})


@contextmanager
def runs(options: ExecutionOptions | None, *, kept: bool = False) -> Iterator[Run]:
    """Yield a function that runs a study; it can be called repeatedly.

    Args:
        options: Execution options of all calls.
        kept: Whether one Ray is used for all calls.
    """
    options = options or ExecutionOptions()
    if is_connected():
        from handssl.execution import study_runner

        yield partial(study_runner.run, options=options)
        return
    with Supervisor(options, kept=kept) as supervisor:
        yield partial(_run, supervisor, options)


def _run(
    supervisor: Supervisor,
    options: ExecutionOptions,
    study: Study,
    *,
    storage: Path | str | None,
    on_event: OnEvent | None,
    interruption: Interruption | None = None,
    **arguments: Any,
) -> StudyResult:
    arguments |= {"study": study, "storage": resolve_storage(storage), "options": options}
    with interruption or Interruption() as interruption:
        result: StudyResult = supervisor.call(
            "handssl.execution.study_runner:run", on_event or _ignore, interruption, **arguments
        )
        return result


def _ignore(event: Event) -> None:
    pass
