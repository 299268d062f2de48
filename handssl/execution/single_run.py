"""Single pretraining run, in this process or on Ray Train workers, equal up to rounding."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from handssl.errors import ClusterLostError, DivergedError, InputError, InterruptedStudyError
from handssl.execution.checkpoint_mirror.run_mirror import copied_elsewhere, require_file_system
from handssl.execution.cluster.address import resolve_address
from handssl.execution.cluster.local_ray import ray_cluster
from handssl.execution.cluster.version_check import require_same_everywhere
from handssl.execution.datasets.staging import StagedDataset
from handssl.execution.initial_weights import resolve_init
from handssl.execution.recorder import Recorder
from handssl.execution.result import StudyResult
from handssl.execution.resume import require_trial
from handssl.execution.storage import default_tracking_uri, locked, resolve_storage
from handssl.execution.study_runner import Sweep
from handssl.execution.supervision.supervisor import Supervisor, is_connected
from handssl.execution.train import worker_scaling
from handssl.execution.trial_files import RunFile, write_error
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.resources import Cluster
from handssl.runtime.interruption import Interruption
from handssl.study.events import Event, OnEvent, StepEnded, Tick, Waiting, WorkerEvent
from handssl.study.run_config import RunConfig
from handssl.study.trials import PlannedTrial, StudyScheduler
from handssl.training import Execution

Row = tuple[int, dict[str, float]]


def pretrain(run: RunConfig, *, on_event: OnEvent | None = None, **options: Any) -> StudyResult:
    """Run one pretraining, or resume it at the exact step where an earlier run stopped.

    With workers, or on a cluster, the driver of Ray is a separate process, which is started again
    if Ray ends; in a process that is already connected to Ray, this process is the driver.

    Args:
        run: Configuration of the run.
        on_event: Called with everything that happens, in this thread.
        options: Further arguments of `pretrain_here`.

    Returns:
        The record; `interrupted` says whether epochs are missing.

    Raises:
        InputError: It cannot be run here, another run holds the storage, or it is another trial
            than the one to be continued.
        DataError: There is no local checkpoint, and remote ones are not reachable or are damaged.
        ClusterLostError: The Ray of another process has ended, or a local Ray ended repeatedly.
    """
    notify = on_event or _ignore
    if is_connected():
        return pretrain_here(run, on_event=notify, **options)
    options["address"] = address = resolve_address(options.get("address"), notify)
    if options.get("workers", 1) == 1 and address is None:
        return pretrain_here(run, on_event=notify, **options)
    options["storage"] = resolve_storage(options.get("storage"))
    with (
        Interruption() as interruption,
        Supervisor(ExecutionOptions(address=address)) as supervisor,
    ):
        where = f"{__name__}:pretrain_here"
        result = supervisor.call(where, notify, interruption, run=run, **options)
    return cast(StudyResult, result)


def pretrain_here(
    run: RunConfig,
    *,
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    workers: int | tuple[int, int] | None = 1,
    address: str | None = None,
    execution: Execution | None = None,
    checkpoints: str | None = None,
    until_s: float = math.inf,
    continued: str | None = None,
    on_event: OnEvent | None = None,
    interruption: Interruption | None = None,
) -> StudyResult:
    """Run one pretraining with this process as the driver of Ray, if Ray is needed.

    Ctrl-C, SIGTERM and the end of the given time stop it between two steps, with a checkpoint.

    Args:
        run: Configuration of the run.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        tracking_uri: MLflow store; default: SQLite in the storage.
        workers: Number of processes; more than 1 are Ray Train workers, and if some are lost the
            run continues with fewer; (least, most) waits if fewer than `least` are available; None:
            as many as there are CPUs or GPUs at each start. The global batch doesn't change.
        address: Address of a Ray cluster whose nodes see the storage, as `ray.init` takes it; None:
            a local Ray. `pretrain` uses $RAY_ADDRESS for None, and `local` for a local Ray.
        execution: Execution options: device, precision, checkpoints kept.
        checkpoints: URL or folder to which checkpoints and weights are copied as well; if it has
            newer checkpoints than the storage, the run resumes from those.
        until_s: Time of `time.monotonic` in seconds at which to stop.
        continued: Id that the trial must have, see `handssl.execution.resume`.
        on_event: Called with everything that happens, in this thread.
        interruption: Setting its `requested` from another thread ends the run like Ctrl-C.

    Returns:
        The record; `interrupted` says whether epochs are missing.

    Raises:
        InputError: It cannot be run here, another run holds the storage, or it is another trial
            than the one to be continued.
        DataError: There is no local checkpoint, and remote ones are not reachable or are damaged.
        ClusterLostError: Ray has ended.
    """
    (execution or Execution()).torch_device()
    require_file_system(checkpoints)
    folder = resolve_storage(storage)
    with locked(folder), interruption or Interruption() as interruption:
        init = resolve_init(run.pretrain.init, run.pretrain.encoder, folder)
        run = run.merged({"pretrain.init": init.model_dump()})
        sweep = SingleTrialRunner(
            run.study(), folder, tracking_uri or default_tracking_uri(folder), interruption
        )
        sweep.workers, sweep.address = workers, address
        sweep.execution = execution or Execution()
        sweep.until_s, sweep.checkpoints, sweep.continued = until_s, checkpoints, continued
        sweep.settings = RunFile.of(run, sweep.tracking_uri, folder)
        return sweep.until_interrupted(on_event or _ignore)


class SingleTrialRunner(Sweep):
    """A sweep of one trial, without Ray Tune."""

    workers: int | tuple[int, int] | None
    address: str | None
    execution: Execution
    checkpoints: str | None
    until_s: float
    continued: str | None
    settings: RunFile

    def execute(self, scheduler: StudyScheduler, recorder: Recorder, on_event: OnEvent) -> None:
        """Train in this process or on workers."""
        require_trial(next(iter(scheduler.trials)), self.continued)
        with self._joined():
            self._run_missing(scheduler, recorder, on_event)

    @contextmanager
    def _joined(self) -> Iterator[None]:
        """Connect to the given cluster, and require that its nodes have this process's code."""
        if self.address is None:
            yield
            return
        with ray_cluster(self.address):
            self.interruption.listen()
            require_same_everywhere()
            yield

    def _run_missing(
        self, scheduler: StudyScheduler, recorder: Recorder, on_event: OnEvent
    ) -> None:
        on_event(self.planned(scheduler, Cluster(1, 1, 0.0, owned=True)))
        self.tracker.samples_system, self.tracker.models = True, "all"
        for trial in scheduler.missing:
            self._require_free(trial)
            folder = self.store.folder(trial.trial_id)
            keeping, fence = self.execution, self.store.claims.fence(trial.trial_id)
            with copied_elsewhere(self.checkpoints, folder, keeping, on_event, fence) as copied:
                recorder.start(trial)
                self.settings.save(folder, fence)
                rows = self._rows(trial, self.places.located(trial), folder, on_event)
                self._record(trial, copied.rows(rows), recorder, folder, copied.known)

    def _require_free(self, trial: PlannedTrial) -> None:
        if not self.hold.take(trial.trial_id):
            raise InputError(
                f"{trial.cell}, seed {trial.block}: expected no other driver of the same ledger to "
                "run this trial, one does; wait until it has ended"
            )

    def _record(
        self,
        trial: PlannedTrial,
        rows: Iterator[Row],
        recorder: Recorder,
        folder: Path,
        known: int,
    ) -> None:
        start_s = time.monotonic()
        try:
            for epoch, metrics in rows:
                seconds = time.monotonic() - start_s if epoch > known else math.nan
                recorder.epoch(trial, epoch, metrics, seconds)
                start_s = time.monotonic()
        except DivergedError as error:
            recorder.end(trial, "diverged", str(error))
        except (KeyboardInterrupt, InterruptedStudyError, InputError, ClusterLostError):
            raise
        except Exception as error:
            write_error(folder, self.store.claims.fence(trial.trial_id))
            recorder.end(trial, "failed", f"{type(error).__name__}: {error}")
        else:
            recorder.end(trial, "completed", "")

    def _rows(
        self, trial: PlannedTrial, data: StagedDataset, folder: Path, on_event: OnEvent
    ) -> Iterator[Row]:
        def on_wait(text: str, again: int = 0) -> None:
            on_event(WorkerEvent(trial, text, again))

        def on_step(done: int, total: int) -> None:
            on_event(StepEnded(trial, done, total))

        if self.workers == 1 and self.address is None:
            return self._rows_here(trial, data.here(on_wait), folder, on_step)
        on_event(Waiting("workers"))
        waiting = worker_scaling.Waiting(
            must_stop=self._must_stop,
            on_tick=lambda: on_event(Tick()),
            notify=on_wait,
            on_step=on_step,
        )
        return self._rows_there(trial, data, folder, waiting)

    def _rows_there(
        self,
        trial: PlannedTrial,
        data: StagedDataset,
        folder: Path,
        waiting: worker_scaling.Waiting,
    ) -> Iterator[Row]:
        from handssl.execution.train.executor import train_together

        return train_together(
            trial.config,
            data,
            folder.absolute(),
            workers=self.workers,
            execution=self.execution,
            waiting=waiting,
            on_started=self.interruption.listen,
            address=self.address,
            fence=self.store.claims.fence(trial.trial_id),
        )

    def _rows_here(
        self, trial: PlannedTrial, data: Path, folder: Path, on_step: Callable[[int, int], None]
    ) -> Iterator[Row]:
        from handssl.training import Trial

        fence = self.store.claims.fence(trial.trial_id)
        opened = Trial(trial.config, data, folder, execution=self.execution, fence=fence)
        for result in opened.epochs(on_step, self._must_stop):
            yield result.epoch, dict(result.metrics)

    def _must_stop(self) -> bool:
        return self.interruption.requested or time.monotonic() >= self.until_s


def _ignore(event: Event) -> None:
    pass
