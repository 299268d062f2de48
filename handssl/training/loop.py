"""The pretraining loop.

An epoch is one pass over the pretraining images in an order drawn from (seed, epoch). Each step
makes the views of a batch, encodes them in one pass, asks the objective for its loss and updates
the weights. The loop knows nothing of Ray or MLflow and writes nothing to disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handssl.augment import composition_name, make_views, reach_boxes
from handssl.data.store import PackedSplit
from handssl.data.study_data import StudyData
from handssl.errors import DivergedError, InputError
from handssl.evaluation.targets import pose_targets
from handssl.models import build_encoder, initialise
from handssl.objectives import Encoded, Losses, PoseTarget, Supervised, build_objective
from handssl.optim import (
    build,
    decay_groups,
    first_non_finite,
    lr_factor,
    named_weights_and_gradients,
    peak_lr,
    trust_metrics,
)
from handssl.randomness import permutation
from handssl.training.config import PretrainConfig


class Pretraining:
    """Encoder, objective and optimizer of one run, advanced an epoch at a time.

    Args:
        config: The resolved configuration.
        data: Packed splits; `probe` labels are read by the supervised objective alone.
        device: Where to compute.

    Raises:
        InputError: The split is smaller than one batch, or views would leave the stored crop.
    """

    def __init__(self, config: PretrainConfig, data: StudyData, device: str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        self.encoder = build_encoder(config.encoder)
        self.objective = build_objective(
            config.objective,
            dim=self.encoder.dim,
            heads=config.heads,
            augmentation=config.augmentation,
            composition=config.composition,
            temperature=config.temperature,
            relative=config.relative,
            relative_on=config.relative_on,
            mixed=config.mixed,
            contrastive_weight=config.contrastive_weight,
        )
        self.model = nn.ModuleDict({"encoder": self.encoder, "objective": self.objective})
        initialise(self.model, seed=config.seed)
        self._target: PoseTarget | None = None
        if isinstance(self.objective, Supervised):
            self._target = pose_targets(data.store("probe"))
            self.objective.standardise(self._target)
        self.model.to(self.device)
        self.store = data.store(self.objective.split)
        _check_reach(config, self.store.manifest.context)
        self._crops = self.store.buffer(config.global_batch)
        self.views_per_step = config.global_batch * len(self.objective.draws)
        # A step of four views counts as two, so that arms stay comparable.
        self._pairs = max(2, len(self.objective.draws)) // 2 if config.equal_views else 1
        self._batches_per_epoch = _whole_batches(
            len(data.store("pretrain")), config.global_batch, least=self._pairs
        )
        self.steps_per_epoch = self._batches_per_epoch / self._pairs
        lr = peak_lr(config.optimizer.lr_base, config.global_batch)
        chosen = config.optimizer
        groups = decay_groups([self.model], chosen.weight_decay, masks=chosen.masks)
        self.optimizer = build(chosen.name, groups, lr=lr, **chosen.options())
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._lr_factor())
        self._make_view = make_views(
            config.augmentation,
            config.composition,
            seed=config.seed,
            view_px=config.encoder.input_px,
            context=self.store.manifest.context,
            device=self.device,
        )

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Make one pass of updates.

        Args:
            epoch: Counted from 1; fixes sample order and every draw of theta.

        Returns:
            Means over the epoch: train/loss, train/loss/<term>, train/sigma/<term>, and train/lr,
            train/views_per_step, train/encoder_views (of all epochs so far), train/views_per_s;
            train/trust/<statistic> of the last step, if the optimizer has trust ratios.

        Raises:
            DivergedError: A loss or a weight is not finite; the first such step, and the first
                such tensor after the epoch, are named.
        """
        self.model.train()
        start_s = time.perf_counter()
        losses = [self._step(indices, epoch) for indices in self._batches(epoch)]
        metrics = _summarise(losses, epoch, self.model)
        metrics.update(trust_metrics(self.optimizer))
        views = len(losses) * self.views_per_step
        metrics["train/views_per_s"] = views / (time.perf_counter() - start_s)
        metrics["train/views_per_step"] = float(self.views_per_step)
        metrics["train/encoder_views"] = float(self.steps_until(epoch) * self.views_per_step)
        metrics["train/lr"] = float(self.schedule.get_last_lr()[0])
        return metrics

    def steps_until(self, epoch: int) -> int:
        """Return the updates of the first epochs together.

        Where an epoch is no whole number of steps, epochs differ by one, and the sum is exact.
        """
        return self._batches_per_epoch * epoch // self._pairs

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on besides configuration and data."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])

    def _step(self, indices: NDArray[np.int64], epoch: int) -> Losses:
        losses = self.objective(*self._encode(indices, epoch))
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        self.optimizer.step()
        self.schedule.step()
        return Losses(losses.total.detach(), losses.terms, losses.sigmas)

    def _encode(
        self, indices: NDArray[np.int64], epoch: int
    ) -> tuple[list[Encoded], PoseTarget | None]:
        crops = self.store.crops(indices, out=self._crops).to(self.device)
        ids = self.store.ids[indices].to(self.device)
        views = [
            self._make_view(crops, ids, epoch=epoch, view=draw) for draw in self.objective.draws
        ]
        images = torch.cat([view.images for view in views])
        features = self.encoder(images.contiguous(memory_format=torch.channels_last))
        encoded = [
            Encoded(h, view.theta, view.matrix)
            for h, view in zip(features.chunk(len(views)), views, strict=True)
        ]
        return encoded, self._target_of(indices)

    def _target_of(self, indices: NDArray[np.int64]) -> PoseTarget | None:
        if self._target is None:
            return None
        chosen = torch.from_numpy(indices)
        parts = (self._target.uv, self._target.z, self._target.valid)
        return PoseTarget(*(part[chosen].to(self.device) for part in parts))

    def _batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        batch = self.config.global_batch
        steps = self.steps_until(epoch) - self.steps_until(epoch - 1)
        order = epoch_order(self.store, steps * batch, self.config.seed, epoch)
        return (order[i : i + batch] for i in range(0, len(order), batch))

    def _lr_factor(self) -> Callable[[int], float]:
        # Not a method of ours: the schedule would then hold us and every store we have mapped.
        chosen = self.config.optimizer
        return lr_factor(
            chosen.schedule,
            warmup_steps=round(chosen.warmup_epochs * self.steps_per_epoch),
            total_steps=self.steps_until(self.config.epochs),
            decay_share=chosen.decay_share,
        )


def epoch_order(store: PackedSplit, length: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return which samples an epoch visits, in order.

    Args:
        store: The split.
        length: Samples visited; a smaller split is passed over again in a new order.
        seed: The trial's seed.
        epoch: Counted from 1.

    Returns:
        int64 (length,), a pure function of the arguments.
    """
    passes = -(-length // len(store))
    orders = [permutation(len(store), "order", seed, epoch, index) for index in range(passes)]
    return np.concatenate(orders)[:length]


def _check_reach(config: PretrainConfig, context: float) -> None:
    reach = reach_boxes(config.augmentation, config.composition)
    if reach > context:
        raise InputError(
            f"expected transformations that stay within the stored crop of {context:g} box sides, "
            f"the ranges of {composition_name(config.composition)} reach {reach:.3f}; "
            "narrow the ranges or pack the data with a larger context"
        )


def _whole_batches(images: int, batch: int, *, least: int) -> int:
    if images < least * batch:
        counted = "" if least == 1 else f" (with equal_views a step takes the views of {least})"
        raise InputError(
            f"expected at least {'one batch' if least == 1 else f'{least} batches'} of {batch} "
            f"pretraining images{counted}, the split has {images}; "
            "lower global_batch or use more images"
        )
    return images // batch


def _check_finite(totals: torch.Tensor, epoch: int, model: nn.Module) -> None:
    name = first_non_finite(named_weights_and_gradients(model))
    help_text = "a smaller optimizer.lr_base or a longer warm-up may help"
    if not bool(torch.isfinite(totals).all()):
        step = int(torch.nonzero(~torch.isfinite(totals))[0]) + 1
        where = f" (after the epoch, {name} is not finite)" if name else ""
        raise DivergedError(
            f"the loss became {float(totals[step - 1])} in epoch {epoch}, step {step}{where}; "
            + help_text
        )
    if name is not None:
        raise DivergedError(f"{name} is not finite after epoch {epoch}; {help_text}")


def _summarise(losses: list[Losses], epoch: int, model: nn.Module) -> dict[str, float]:
    totals = torch.stack([step.total for step in losses]).cpu()
    _check_finite(totals, epoch, model)
    metrics = {"train/loss": float(totals.mean())}
    for name in losses[0].terms:
        term = torch.stack([step.terms[name] for step in losses])
        metrics[f"train/loss/{name}"] = float(term.mean())
    for name, sigma in losses[-1].sigmas.items():
        metrics[f"train/sigma/{name}"] = float(sigma)
    return metrics
