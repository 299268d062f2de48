"""The pretraining loop.

An epoch is one pass over the pretraining images in an order drawn from (seed, epoch). Each step
makes the views of a batch, encodes them in one pass, computes the objective's loss and updates the
weights. Ranks make views of their own rows of the global batch; results equal those of one rank.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handssl.data.splits import StudyData
from handssl.data.store import PackedSplit
from handssl.distributed import (
    accumulating,
    data_parallel,
    sum_over_ranks,
    use_global_batch_norm,
    world_size,
)
from handssl.errors import InterruptedStudyError
from handssl.evaluation.features import settle_batch_norm
from handssl.evaluation.targets import pose_targets
from handssl.objectives import Losses, Supervised, project
from handssl.optim import build, decay_groups, layer_rates, lr_factor, peak_lr, trust_metrics
from handssl.training.config import PretrainConfig
from handssl.training.contrastive_slack import contrastive_slack
from handssl.training.data_checks import require_reach, require_sound_custom
from handssl.training.epoch_log import EpochLog
from handssl.training.execution import Execution
from handssl.training.memory import StepMemory
from handssl.training.memory_need import step_bytes
from handssl.training.network import initial_network
from handssl.training.rounding import rounding_of
from handssl.training.sample_order import epoch_order, whole_batches
from handssl.training.view_batcher import Indices, ViewBatcher

OnStep = Callable[[int, int], None]
MustStop = Callable[[], bool]
_STEPS_BETWEEN_AGREEMENTS = 4


class Pretraining:
    """Encoder, objective and optimizer of one run, trained one epoch at a time.

    Args:
        config: The resolved configuration.
        data: Packed splits; only the supervised objective reads `probe` labels.
        execution: Execution settings.
        storage: Root of all results, with the initial weights whose digest the configuration
            names; None: their file is read.

    Raises:
        InputError: The split is smaller than one batch, a rank would have no rows, views would
            leave the stored crop, or a custom transformation is invalid.
    """

    def __init__(
        self,
        config: PretrainConfig,
        data: StudyData,
        execution: Execution | None = None,
        *,
        storage: Path | None = None,
    ) -> None:
        execution = execution or Execution(device="cpu")
        self.config, self.device = config, execution.torch_device()
        self._partial: dict[str, Any] | None = None
        self.network = initial_network(config, execution.precision_on(self.device), storage)
        self.encoder, self.objective = self.network.encoder, self.network.objective
        if isinstance(self.objective, Supervised):
            self.objective.standardise(pose_targets(data.store("probe")))
        if config.is_frozen and config.init.is_random:  # other weights come with statistics
            settle_batch_norm(self.encoder, data.store("pretrain"), view_px=config.encoder.input_px)
        self.store = self._crops_of(data.store(self.objective.split), execution)
        require_reach(config, self.store)
        require_sound_custom(config, self.device)
        self.feed = ViewBatcher(config, self.objective, self.store, self.device)
        self._settle(execution)
        # A step with four views counts as two, so that arms stay comparable.
        self._pairs = max(2, len(self.objective.draws)) // 2 if config.equal_views else 1
        self._batches_per_epoch = whole_batches(
            data.epoch_images, config.global_batch, least=self._pairs
        )
        self.steps_per_epoch = self._batches_per_epoch / self._pairs
        self.views_per_step = config.global_batch * len(self.objective.draws)
        lr = peak_lr(config.optimizer.lr_base, config.global_batch)
        chosen = config.optimizer
        groups = decay_groups([self.network], chosen.weight_decay, masks=chosen.masks)
        groups = layer_rates(groups, self.encoder, lr=lr, layer_decay=chosen.layer_decay)
        self.optimizer = build(chosen.name, groups, lr=lr, **chosen.options())
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._lr_factor())
        own = (self.network.precision, self.device, execution.sharing)
        self._memory = StepMemory(config, self.views_per_step, *own)
        self._parallel = data_parallel(self.network)
        if world_size() > 1:
            self._rehearse()

    def train_epoch(
        self, epoch: int, on_step: OnStep | None = None, must_stop: MustStop | None = None
    ) -> dict[str, float]:
        """Train for one epoch, or for the rest of a stopped one.

        Args:
            epoch: Epoch, counted from 1; determines sample order and every draw of theta.
            on_step: Called with (steps done, steps of the epoch).
            must_stop: Called between steps on every rank; one that returns true stops all ranks.

        Returns:
            The metrics `train/...` of `handssl.evaluation.metric_names`: losses, gradient norm and
            slack are means over the epoch, train/encoder_views counts all epochs so far.

        Raises:
            DivergedError: A loss or gradient is not finite; the message names the first such step.
            InterruptedStudyError: It was stopped; `state` contains the completed steps.
        """
        self.network.train()
        log, start_s = self._open_log(epoch), time.perf_counter()
        self.feed.seconds = 0.0
        steps, first = self._steps(epoch), len(log)
        for number, indices in enumerate(self.batches(epoch, first), start=first + 1):
            log.add(self.step(indices, epoch))
            if on_step is not None:
                on_step(number, steps)
            if number < steps and self._is_stopped(number, must_stop):
                self._partial = {"epoch": epoch, **log.state()}
                raise InterruptedStudyError(f"stopped in epoch {epoch} after step {number}")
        seconds = time.perf_counter() - start_s
        metrics = log.metrics() | trust_metrics(self.optimizer)
        metrics |= contrastive_slack(self.config, metrics)
        metrics["train/views_per_s"] = (steps - first) * self.views_per_step / seconds
        metrics["train/data_s"] = self.feed.seconds
        metrics["train/views_per_step"] = float(self.views_per_step)
        metrics["train/encoder_views"] = float(self.steps_until(epoch) * self.views_per_step)
        metrics["train/lr"] = float(self.schedule.get_last_lr()[0])
        return metrics

    def steps_until(self, epoch: int) -> int:
        """Return the total number of updates of the epochs up to `epoch`.

        If an epoch is not a whole number of steps, epochs differ by one step and the sum is exact.
        """
        return self._batches_per_epoch * epoch // self._pairs

    @property
    def warmup_steps(self) -> int:
        """Number of updates until the peak of the learning rate."""
        return round(self.config.optimizer.warmup_epochs * self.steps_per_epoch)

    @property
    def steps_made(self) -> int:
        """Number of updates so far, including those of earlier runs."""
        return int(self.schedule.last_epoch)

    def state(self) -> dict[str, Any]:
        """Return what the next epoch depends on besides configuration and data."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "partial": self._partial,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from a state returned by `state`."""
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self._partial = state["partial"]

    def step(self, indices: Indices, epoch: int) -> Losses:
        """Make one update.

        Args:
            indices: Positions of the global batch.
            epoch: Epoch, counted from 1; with the samples it determines every draw of theta.

        Returns:
            The losses of this rank's share.

        Raises:
            MemoryShortError: The step does not fit into the memory of the device.
        """
        with self._memory:
            self.optimizer.zero_grad(set_to_none=True)
            losses = self._backward(indices, epoch)
            self.optimizer.step()
            project(self.objective)
        self.schedule.step()
        return losses

    def _backward(self, indices: Indices, epoch: int) -> Losses:
        """Compute the gradients of a global batch and return the losses of this rank's share."""
        parts = np.array_split(indices, self.config.accumulation)
        found = []
        for part in parts[:-1]:
            with accumulating(self._parallel):
                found.append(self._backward_part(part, epoch))
        found.append(self._backward_part(parts[-1], epoch))
        return Losses.mean(found)

    def _backward_part(self, part: Indices, epoch: int) -> Losses:
        losses: Losses = self._parallel(*self.feed(part, epoch))
        share = losses.total / self.config.accumulation
        share.backward()  # type: ignore[no-untyped-call]
        return Losses(losses.total.detach(), losses.terms, losses.sigmas)

    def _open_log(self, epoch: int) -> EpochLog:
        log, partial = EpochLog(self.network, epoch), self._partial
        if partial is not None and partial["epoch"] == epoch:
            log.load_state(partial)
        self._partial = None
        return log

    def _is_stopped(self, step: int, must_stop: MustStop | None) -> bool:
        # Several ranks have to agree, which synchronises them: not after every step.
        if world_size() > 1 and step % _STEPS_BETWEEN_AGREEMENTS:
            return False
        return self.is_stopped(must_stop)

    def is_stopped(self, must_stop: MustStop | None) -> bool:
        """Return whether one of the ranks must stop; every rank has to call this.

        Args:
            must_stop: Function of this rank; None on all ranks or on none.
        """
        if must_stop is None:
            return False
        if world_size() == 1:
            return must_stop()
        asked = torch.tensor([float(must_stop())], device=self.device)
        return bool(sum_over_ranks(asked) > 0)

    def batches(self, epoch: int, first: int = 0) -> Iterator[Indices]:
        """Return the global batches of an epoch as positions, from step `first` on."""
        batch = self.config.global_batch
        length, numbered = self._steps(epoch) * batch, self.config.is_finetuned
        order = epoch_order(self.store, length, self.config.seed, epoch, numbered=numbered)
        return (order[i : i + batch] for i in range(first * batch, len(order), batch))

    def _steps(self, epoch: int) -> int:
        return self.steps_until(epoch) - self.steps_until(epoch - 1)

    def _crops_of(self, split: PackedSplit, execution: Execution) -> PackedSplit:
        step = self._step_bytes() if self.device.type == "cuda" else 0
        return (
            split.on(self.device) if execution.keeps_on(self.device, split.bytes, step) else split
        )

    def _step_bytes(self) -> int:
        draws, precision = len(self.objective.draws), self.network.precision
        return step_bytes(self.config, draws, precision, workers=world_size()) or 0

    def _settle(self, execution: Execution) -> None:
        """Move the network to its device and dtype, set its BatchNorm and compile it."""
        execution.settle()
        if self.config.noise_repeat:
            torch.set_num_threads(rounding_of(self.config.noise_repeat).threads)
        self.network.to(self.device)
        if execution.precision == "float64":
            self.network.double()
        if self.config.batch_norm == "global":
            use_global_batch_norm(self.network)
        if execution.compile:
            self.encoder.compile()

    def _rehearse(self) -> None:
        """Make one backward pass without side effects.

        DistributedDataParallel regroups gradients after its first pass. If the first pass of a
        resumed run were a later pass of an uninterrupted run, sums over ranks would differ.
        """
        buffers = {name: value.clone() for name, value in self.network.named_buffers()}
        self.network.train()
        with self._memory:
            self._backward(np.arange(self.config.global_batch) % len(self.store), epoch=1)
        self.optimizer.zero_grad(set_to_none=True)
        for name, value in self.network.named_buffers():
            value.copy_(buffers[name])

    def _lr_factor(self) -> Callable[[int], float]:
        # Not a bound method: the schedule would then keep this object and all mapped stores alive.
        chosen = self.config.optimizer
        return lr_factor(
            chosen.schedule,
            warmup_steps=self.warmup_steps,
            total_steps=self.steps_until(self.config.epochs),
            decay_share=chosen.decay_share,
        )
