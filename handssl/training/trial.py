"""Trial: pretrain, probe after every epoch, test once at the end, and resume after a stop."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from handssl.data.label_share import with_share_of_labels
from handssl.data.splits import StudyData
from handssl.distributed import rank
from handssl.errors import DataError, InterruptedStudyError
from handssl.evaluation.kept_probe import FILE as PROBE
from handssl.evaluation.predictions import FILE
from handssl.models import Encoder
from handssl.objectives import HeatmapRegression, Supervised
from handssl.runtime.fencing import Fence
from handssl.training.branch import branch_state, constant_steps, keep_constant
from handssl.training.checkpoints import CheckpointFolder, RunState
from handssl.training.checkpoints.reading import other_version
from handssl.training.checkpoints.writing import remove_orphans
from handssl.training.config import PretrainConfig, same_content
from handssl.training.contrastive_slack import warn_if_trivial
from handssl.training.downstream import LAYER
from handssl.training.execution import Execution
from handssl.training.kept_predictions import keep_in, predict_again
from handssl.training.kept_probe import OnProbe, keep_probe_in
from handssl.training.loop import MustStop, OnStep, Pretraining
from handssl.training.machine_file import note_machine
from handssl.training.metrics import diagnosis_stride, measure
from handssl.training.weights import save_weights


@dataclass(frozen=True)
class EpochResult:
    """Result of an epoch.

    Attributes:
        epoch: Epoch, counted from 1.
        metrics: Losses, the ridge probe under every protocol on `select`, the aliases median_mm
            and mpje_mm, diagnostics if they are due; after the last epoch also test_median_mm and
            test_mpje_mm.
    """

    epoch: int
    metrics: dict[str, float]


class Trial:
    """One resolved configuration with one seed.

    The folder contains `checkpoints/`, the newest `execution.keep` of those saved after every epoch
    or at a stop, and when the trial is complete `encoder.safetensors`, `probe.safetensors` (of a
    fine-tuned model its head) and the last predictions, `predictions.npz`. A trial opened on such a
    folder resumes from the newest intact checkpoint.

    Args:
        config: The resolved configuration.
        data: Folder of the packed splits.
        folder: Folder of the trial's files, `trials/<id>` of the storage, which also has the
            initial weights whose digest the configuration names.
        execution: Execution settings.
        warm_start: Folder of the same run with fewer epochs: a trial without a checkpoint continues
            from there, from the last state before the decay of the learning rate.
        fence: Fence around the folder; None if no other process writes there.

    Raises:
        DataError: No checkpoint is intact, or it belongs to another configuration or version.
        TakenOverError: Another process claimed the folder, and nothing was written.
    """

    def __init__(
        self,
        config: PretrainConfig,
        data: Path,
        folder: Path,
        *,
        execution: Execution | None = None,
        warm_start: Path | None = None,
        fence: Fence | None = None,
    ) -> None:
        self.config, self.folder, self._warm_start = config, folder, warm_start
        self._fence = fence
        self._data = used_data(config, StudyData(data))
        storage = folder.absolute().parent.parent
        self._pretraining = Pretraining(config, self._data, execution, storage=storage)
        self._stride = diagnosis_stride(
            self._pretraining.steps_per_epoch * self._pretraining.views_per_step
        )
        if rank() == 0:
            remove_orphans(folder)
        keeping = execution or Execution()
        self._checkpoints = CheckpointFolder(
            folder / "checkpoints", keep=keeping.keep, max_bytes=keeping.keep_bytes, fence=fence
        )
        self._done: list[EpochResult] = self._restore()

    @property
    def steps_made(self) -> int:
        """Number of updates so far, including those of earlier runs."""
        return self._pretraining.steps_made

    def epochs(
        self, on_step: OnStep | None = None, must_stop: MustStop | None = None
    ) -> Iterator[EpochResult]:
        """Yield a result for every epoch, first the recorded ones of an earlier run.

        With several ranks only the first measures and writes; the others yield training losses.

        Args:
            on_step: Called with (steps done, steps of the epoch).
            must_stop: Called between steps; training stops when it returns true.

        Yields:
            One result per epoch, from 1 to `config.epochs`.

        Raises:
            DivergedError: A loss is not finite.
            InterruptedStudyError: It was stopped; the completed steps are saved.
            TakenOverError: Another process has claimed the folder; nothing more is written.
        """
        self._complete_files()
        yield from list(self._done)
        for epoch in range(len(self._done) + 1, self.config.epochs + 1):
            try:
                metrics = self._pretraining.train_epoch(epoch, on_step, must_stop)
            except InterruptedStudyError:
                self._save()
                raise
            if epoch == self.config.epochs and rank() == 0:
                warn_if_trivial(metrics)
            result = EpochResult(epoch, metrics | self._measure(epoch))
            self._done.append(result)
            self._save()
            yield result
            # An epoch with fewer steps than between two agreements has no agreement within it.
            if epoch < self.config.epochs and self._pretraining.is_stopped(must_stop):
                raise InterruptedStudyError(f"stopped after epoch {epoch}")

    def _measure(self, epoch: int) -> dict[str, float]:
        if rank() > 0:
            return {}
        last = epoch == self.config.epochs
        return measure(
            _measurable(self._pretraining.encoder),
            self._data,
            self.config,
            last=last,
            diagnosed=last or epoch % self._stride == 0,
            objective=self._pretraining.objective,
            keep=keep_in(self.folder, self._data, self._fence),
            keep_probe=self._keep_probe,
        )

    @property
    def _keep_probe(self) -> OnProbe:
        return keep_probe_in(self.folder, self._data, self.config.encoder, self._fence)

    def _save(self) -> None:
        if rank() > 0:
            return
        note_machine(self.folder, self._fence)
        if len(self._done) == self.config.epochs:
            # Before the checkpoint: a trial whose checkpoint is complete has its weights on disk.
            save_weights(self._pretraining.encoder, self._weights, fence=self._fence)
            self._save_layer()
        path = self._checkpoints.save(
            RunState(
                epoch=len(self._done),
                training=self._pretraining.state(),
                configuration=self.config.model_dump(mode="json"),
                fingerprint=self._data.fingerprint,
                results=[result.metrics for result in self._done],
            )
        )
        if self._is_constant(self.config, self.steps_made):
            keep_constant(self.folder, path, fence=self._fence)

    @property
    def _weights(self) -> Path:
        return self.folder / "encoder.safetensors"

    def _save_layer(self) -> None:
        objective = self._pretraining.objective
        if isinstance(objective, Supervised | HeatmapRegression):
            save_weights(objective, self.folder / LAYER, fence=self._fence)

    def _is_constant(self, config: PretrainConfig, steps: int) -> bool:
        """Return whether this number of updates of a run ends before its rate decays."""
        run = self._pretraining
        limit = constant_steps(config, run.steps_until, run.warmup_steps)
        return 0 < steps <= limit

    def _complete_files(self) -> None:
        """Write the missing files of a complete trial whose last checkpoint was copied here."""
        if len(self._done) < self.config.epochs or rank() > 0:
            return
        encoder = self._pretraining.encoder
        if not self._weights.exists():
            save_weights(encoder, self._weights, fence=self._fence)
        if not (self.folder / LAYER).exists():
            self._save_layer()
        if not all((self.folder / name).exists() for name in (FILE, PROBE)):
            keep = keep_in(self.folder, self._data, self._fence)
            predict_again(
                _measurable(encoder),
                self._data,
                self.config,
                objective=self._pretraining.objective,
                keep=None if (self.folder / FILE).exists() else keep,
                keep_probe=None if (self.folder / PROBE).exists() else self._keep_probe,
            )

    def _restore(self) -> list[EpochResult]:
        state = self._checkpoints.latest()
        if state is None:
            return self._without_checkpoint()
        self._require_mine(state)
        return self._continue(state)

    def _require_mine(self, state: RunState) -> None:
        mine = (same_content(self.config.model_dump(mode="json")), self._data.fingerprint)
        if (same_content(state.configuration), state.fingerprint) != mine:
            raise DataError(
                f"{self._checkpoints.path}: expected checkpoints of this configuration and data, "
                "found some of another; use another folder or remove this one"
            )

    def _continue(self, state: RunState) -> list[EpochResult]:
        self._pretraining.load_state(state.training)
        return [EpochResult(i, metrics) for i, metrics in enumerate(state.results, start=1)]

    def _without_checkpoint(self) -> list[EpochResult]:
        if (old := self.folder / "checkpoint.pt").exists():
            raise other_version(old, "1")
        if self._warm_start is None:
            return []
        state = branch_state(
            self._warm_start, self.config, self._data.fingerprint, self._is_constant
        )
        return [] if state is None else self._continue(state)


def used_data(config: PretrainConfig, data: StudyData) -> StudyData:
    """Return the data that a trial uses: with a share of the labels if it is fine-tuned on one.

    Raises:
        InputError: Too few labels are left.
    """
    if not config.is_finetuned or config.finetune is None:
        return data
    return with_share_of_labels(data, config.finetune.labels, seed=config.seed)


def _measurable(encoder: Encoder) -> Encoder:
    """Return an encoder in float32, the dtype of the evaluation."""
    is_double = next(encoder.parameters()).dtype == torch.float64
    return copy.deepcopy(encoder).float() if is_double else encoder
