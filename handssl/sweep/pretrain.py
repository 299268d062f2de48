"""One pretraining: in this process, or on several Ray Train workers, with the same numbers."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from handssl.errors import DivergedError, InputError, InterruptedStudyError
from handssl.sweep.events import Event, Notice, OnEvent, Planned, StepEnded, Tick
from handssl.sweep.interruption import Interruption
from handssl.sweep.plan import PlannedTrial
from handssl.sweep.recorder import Recorder
from handssl.sweep.result import StudyResult
from handssl.sweep.run_config import RunConfig
from handssl.sweep.runner import Sweep
from handssl.sweep.staffing import Waiting
from handssl.sweep.storage import default_tracking_uri, locked, resolve_storage
from handssl.training import Execution

Row = tuple[int, dict[str, float]]


def pretrain(
    run: RunConfig,
    *,
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    workers: int | tuple[int, int] | None = 1,
    address: str | None = None,
    execution: Execution | None = None,
    until_s: float = math.inf,
    on_event: OnEvent | None = None,
) -> StudyResult:
    """Run one pretraining, or go on with it where an earlier run stopped, at the very step.

    Ctrl-C, SIGTERM and the end of the time given stop it between two steps, with a checkpoint.

    Args:
        run: What to run.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        tracking_uri: MLflow store; default: SQLite in the storage.
        workers: Processes; more than 1 are Ray Train workers, and if some are lost it goes on with
            fewer; (least, most) waits below the least; None is as many as there are CPUs or GPUs at
            each start. The global batch stays what it is.
        address: Of a Ray cluster whose nodes see the storage, as `ray.init` takes it; default: a
            Ray of its own.
        execution: How to compute.
        until_s: Stop at this time of `time.monotonic`.
        on_event: Called with everything that happens, in this thread.

    Returns:
        The record; `interrupted` says whether epochs are missing.

    Raises:
        InputError: It cannot be run here, or another run holds the storage.
    """
    (execution or Execution()).torch_device()
    folder = resolve_storage(storage)
    with locked(folder), Interruption() as interruption:
        sweep = _Alone(
            *(run.study(), folder, tracking_uri or default_tracking_uri(folder), interruption)
        )
        sweep.workers, sweep.address = workers, address
        sweep.execution = execution or Execution()
        sweep.until_s = until_s
        return sweep.until_interrupted(on_event or _ignore)


class _Alone(Sweep):
    """A sweep of one trial, without Ray Tune."""

    workers: int | tuple[int, int] | None
    address: str | None
    execution: Execution
    until_s: float

    def execute(
        self,
        missing: tuple[PlannedTrial, ...],
        recorder: Recorder,
        data: Path,
        on_event: OnEvent,
    ) -> None:
        """Train here, or on workers."""
        on_event(Planned(self.study, self.trials, missing, slots=1))
        for trial in missing:
            recorder.start(trial)
            folder = self.storage / "trials" / trial.trial_id
            rows = self._rows(trial, data, folder, on_event)
            self._record(trial, rows, recorder, folder)

    def _record(
        self, trial: PlannedTrial, rows: Iterator[Row], recorder: Recorder, folder: Path
    ) -> None:
        start_s = time.monotonic()
        try:
            for epoch, metrics in rows:
                recorder.epoch(trial, epoch, metrics, time.monotonic() - start_s)
                start_s = time.monotonic()
        except DivergedError as error:
            recorder.end(trial, "diverged", str(error))
        except (KeyboardInterrupt, InterruptedStudyError, InputError):
            raise
        except Exception as error:
            (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
            recorder.end(trial, "failed", f"{type(error).__name__}: {error}")
        else:
            recorder.end(trial, "completed", "")

    def _rows(
        self, trial: PlannedTrial, data: Path, folder: Path, on_event: OnEvent
    ) -> Iterator[Row]:
        def on_step(done: int, total: int) -> None:
            on_event(StepEnded(trial, done, total))

        if self.workers == 1 and self.address is None:
            return self._rows_here(trial, data, folder, on_step)
        waiting = Waiting(
            must_stop=self._must_stop,
            on_tick=lambda: on_event(Tick()),
            say=lambda text, again: on_event(Notice(trial, text, again)),
            on_step=on_step,
        )
        return self._rows_there(trial, data, folder, waiting)

    def _rows_there(
        self, trial: PlannedTrial, data: Path, folder: Path, waiting: Waiting
    ) -> Iterator[Row]:
        from handssl.sweep.workers import train_together

        return train_together(
            trial.config,
            data.absolute(),
            folder.absolute(),
            workers=self.workers,
            execution=self.execution,
            waiting=waiting,
            on_started=self.interruption.listen,
            address=self.address,
        )

    def _rows_here(
        self, trial: PlannedTrial, data: Path, folder: Path, on_step: Callable[[int, int], None]
    ) -> Iterator[Row]:
        from handssl.training import Trial

        opened = Trial(trial.config, data, folder, execution=self.execution)
        for result in opened.epochs(on_step, self._must_stop):
            yield result.epoch, dict(result.metrics)

    def _must_stop(self) -> bool:
        return self.interruption.requested or time.monotonic() >= self.until_s


def _ignore(event: Event) -> None:
    pass
