"""Training of one trial on several Ray Train workers: the same loop, one process per worker.

Whatever ends a group of workers (a kill, a lost node or a request to stop), the next group resumes
from the trial's checkpoint, with as many workers as are available then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.exceptions import RayError

from handssl.errors import ClusterLostError, InterruptedStudyError
from handssl.execution.cluster.local_ray import ray_cluster
from handssl.execution.cluster.nodes import draining
from handssl.execution.cluster.watch import Watch, watching
from handssl.execution.datasets.staging import StagedDataset
from handssl.execution.train.worker import is_lack_of_memory
from handssl.execution.train.worker_group import Group, GroupLostError, Row, remove_remains
from handssl.execution.train.worker_scaling import Waiting, Workers, WorkerScaling
from handssl.execution.worker_failures import meaning_of
from handssl.runtime.fencing import Fence, held
from handssl.training.config import PretrainConfig
from handssl.training.execution import Execution
from handssl.training.memory import MemoryShortError

MAX_LOSSES_IN_A_ROW = 3


def train_together(
    config: PretrainConfig,
    data: Path | StagedDataset,
    folder: Path,
    *,
    workers: int | tuple[int, int] | None,
    execution: Execution,
    waiting: Waiting,
    on_started: Callable[[], None],
    address: str | None = None,
    warm_start: Path | None = None,
    fence: Fence | None = None,
) -> Iterator[Row]:
    """Yield a trial's epochs as Ray Train workers report them.

    Args:
        config: The resolved configuration.
        data: Folder of the packed splits that every worker sees, or their location for any node.
        folder: The trial's folder, which every worker sees.
        workers: Number to start with, continuing with fewer if some are lost; (least, most); None:
            as many as there are GPUs, or CPUs without GPUs, at each start.
        execution: Execution options of each worker.
        waiting: Callbacks while waiting and training.
        on_started: Called when Ray has installed its signal handlers.
        address: Address of a Ray cluster, as `ray.init` takes it; None: the one that the caller has
            connected to, else a local Ray.
        warm_start: Folder of the same run with fewer epochs, to continue from.
        fence: Fence of the folder.

    Yields:
        (epoch, metrics), those of an earlier run first.

    Raises:
        DivergedError: A loss was not finite.
        InterruptedStudyError: The run was stopped; the steps done are saved.
        InputError: The machine or cluster has fewer CPUs or GPUs than workers.
        GroupLostError: Workers were lost repeatedly without an epoch in between.
        ClusterLostError: Ray has ended.
        TakenOverError: Another process has claimed the folder.
    """
    with ray_cluster(address) as cluster, watching(owned=cluster.owned) as watch:
        on_started()
        with held(fence):
            remove_remains(folder)
        staffing = WorkerScaling(
            Workers.of(workers),
            config,
            resource="GPU" if cluster.gpus > 0 else "CPU",
            can_grow=not cluster.owned,
            waiting=waiting,
        )
        place = data.absolute() if isinstance(data, Path) else data
        trial: dict[str, Any] = {
            "config": config,
            "data": place,
            "folder": folder,
            "execution": execution,
        }
        trial |= {"warm_start": warm_start, "fence": fence}
        with _losses_of_the_cluster(watch):
            yield from _Run(trial, staffing, waiting, use_gpu=cluster.gpus > 0).rows()


@contextmanager
def _losses_of_the_cluster(watch: Watch) -> Iterator[None]:
    """Distinguish the end of the cluster from the loss of workers."""
    try:
        yield
    except (GroupLostError, RayError) as error:
        watch.require_now()
        meaning = meaning_of(error)
        if isinstance(error, GroupLostError) or meaning is None:
            raise
        raise ClusterLostError(f"Ray cannot continue: {meaning.words} ({error})") from error


class _Run:
    """A run as a sequence of groups of workers."""

    def __init__(
        self, trial: dict[str, Any], staffing: WorkerScaling, waiting: Waiting, *, use_gpu: bool
    ) -> None:
        self._trial, self._use_gpu = trial, use_gpu
        self._staffing, self._waiting = staffing, waiting
        self._losses = self._last = self._steps = 0
        self._reason = ""

    def rows(self) -> Iterator[Row]:
        """Yield every epoch once, in order."""
        while True:
            with held(self._trial["fence"]):
                pass  # if the folder was lost, no further group is started
            count = self._staffing.next()
            group = Group(self._trial, count, use_gpu=self._use_gpu)
            try:
                yield from self._new_rows(group)
                return
            except InterruptedStudyError:
                if self._waiting.must_stop():
                    raise
                self._reason = "a worker was asked to stop"
            except (MemoryShortError, GroupLostError) as error:
                self._recover(error, count)
            finally:
                group.close()

    def _new_rows(self, group: Group) -> Iterator[Row]:
        def must_stop() -> bool:
            return self._waiting.must_stop() or bool(group.nodes & draining())

        # Restarted workers report again the epochs that others had reported before.
        for epoch, metrics in group.rows(must_stop, lambda: self._check(group)):
            self._say_news(group)  # before the first new epoch
            if epoch > self._last:
                self._last, self._losses = epoch, 0
                yield epoch, metrics

    def _check(self, group: Group) -> None:
        """Report the progress of a group."""
        self._waiting.on_tick()
        self._say_news(group)
        if group.step is not None and group.step[2] > self._steps:
            done, total, self._steps = group.step
            self._waiting.on_step(done, total)

    def _say_news(self, group: Group) -> None:
        """Report once what was copied, and when a group after a fault has started."""
        while group.copied:
            self._waiting.notify(group.copied.pop(0), 0)
        if self._reason and group.begun is not None:
            again = max(0, self._steps - group.begun)
            text = f"{self._reason}; {len(group.joined)} continue, {again} steps are repeated"
            self._waiting.notify(text, again)
            self._reason = ""

    def _recover(self, error: MemoryShortError | GroupLostError, workers: int) -> None:
        """Decide whether to start another group; raise the error if not."""
        self._reason = "workers were lost"
        if isinstance(error, MemoryShortError):
            self._staffing.too_little_memory(workers, str(error).splitlines()[0])
            return
        self._losses += 1
        if is_lack_of_memory(error):
            self._reason += " because their node ran out of memory"
            if self._losses > 1:  # the first time another program may have taken it
                self._staffing.too_little_memory(workers, "Ray killed a worker to free memory")
        elif self._losses > MAX_LOSSES_IN_A_ROW:
            raise error
