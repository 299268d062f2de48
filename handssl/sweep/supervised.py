"""Run a study with a driver of Ray that is looked after: what users call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from handssl.sweep.address import resolve_address
from handssl.sweep.events import Event, OnEvent
from handssl.sweep.interruption import Interruption
from handssl.sweep.result import StudyResult
from handssl.sweep.running import Running
from handssl.sweep.storage import resolve_storage
from handssl.sweep.study import Study
from handssl.sweep.supervisor import Supervisor, is_connected

Run = Callable[..., StudyResult]


def run(
    study: Study,
    *,
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    running: Running | None = None,
    on_event: OnEvent | None = None,
    interruption: Interruption | None = None,
) -> StudyResult:
    """Run the trials of a study that no earlier run has finished.

    Ctrl-C and SIGTERM end it cleanly: what finished is kept, trials under way go on from their
    last epoch when the study is run again. Uses the Ray the caller has connected to, else that of
    `running.address` or $RAY_ADDRESS, else one of its own, which is gone afterwards. Other studies
    may run on the same storage: a trial that several want is run once.

    The driver of Ray is a process of its own, since the end of Ray ends its drivers: a Ray of its
    own is started again then, and the study goes on. Where the caller has connected to Ray, the
    caller is the driver, and may end with that Ray.

    Args:
        study: What to run.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        tracking_uri: MLflow store; default: SQLite in the storage.
        running: What trials are given, and what happens to one in trouble.
        on_event: Called with everything that happens, in this thread; see `handssl.sweep.events`.
        interruption: Its `requested` ends the study as Ctrl-C does, from another thread.

    Returns:
        The records of all trials; `interrupted` says whether some are missing.

    Raises:
        InputError: The study cannot be run, or somebody else runs it.
        PausedStudyError: It was paused, and nobody has resumed it.
        DatabaseAwayError: The ledger's server is away, at the beginning or for ten minutes.
        ClusterLostError: The Ray of another has ended, or its own again and again.
    """
    with runs(at_cluster(running, on_event or _ignore)) as run_one:
        return run_one(
            study,
            storage=storage,
            tracking_uri=tracking_uri,
            on_event=on_event,
            interruption=interruption,
        )


def at_cluster(running: Running | None, on_event: OnEvent) -> Running:
    """Return how a study is run with the address that it uses, see `resolve_address`.

    Args:
        running: As the caller gave it.
        on_event: Called where the environment has decided.
    """
    running = running or Running()
    if is_connected():
        return running  # the caller has connected, which goes before everything
    return running.model_copy(update={"address": resolve_address(running.address, on_event)})


@contextmanager
def runs(running: Running | None, *, kept: bool = False) -> Iterator[Run]:
    """Yield what runs a study, as often as is wanted.

    Args:
        running: Of all of them.
        kept: One Ray serves all.
    """
    running = running or Running()
    if is_connected():
        from handssl.sweep import runner

        yield partial(runner.run, running=running)
        return
    with Supervisor(running, kept=kept) as supervisor:
        yield partial(_run, supervisor, running)


def _run(
    supervisor: Supervisor,
    running: Running,
    study: Study,
    *,
    storage: Path | str | None,
    on_event: OnEvent | None,
    interruption: Interruption | None = None,
    **options: Any,
) -> StudyResult:
    options |= {"study": study, "storage": resolve_storage(storage), "running": running}
    with interruption or Interruption() as interruption:
        result: StudyResult = supervisor.call(
            "handssl.sweep.runner:run", on_event or _ignore, interruption, **options
        )
        return result


def _ignore(event: Event) -> None:
    pass
