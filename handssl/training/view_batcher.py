"""Batches of views and labels for this rank, from positions in a split."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.data.store import PackedSplit
from handssl.distributed import own_rows, world_size
from handssl.errors import InputError
from handssl.evaluation.targets import pose_targets
from handssl.objectives import Objective, PoseTarget
from handssl.training.config import PretrainConfig
from handssl.transforms import View, make_views

Indices = NDArray[np.int64]
# Ids of samples are smaller: above these bits an id has the number of the repetition.
_ID_BITS = 40


class ViewBatcher:
    """Makes the views required by an objective.

    Args:
        config: The resolved configuration.
        objective: Objective that defines the draws of a step and whether it needs labels.
        store: Split with the crops.
        device: Device of the views.

    Attributes:
        seconds: Time spent since it was last set to 0, in seconds; host time only on a GPU.

    Raises:
        InputError: There are fewer images in a backward pass than ranks.
    """

    def __init__(
        self,
        config: PretrainConfig,
        objective: Objective,
        store: PackedSplit,
        device: torch.device,
    ) -> None:
        _check_ranks(config)
        self._draws, self._store, self._device = objective.draws, store, device
        self._target = pose_targets(store) if objective.split == "probe" else None
        self._ids = store.ids.to(device)
        rows = own_rows(-(-config.global_batch // config.accumulation))
        self._crops = store.buffer(rows.stop - rows.start)
        self.seconds = 0.0
        self._make_view = make_views(
            config.augmentation,
            config.composition,
            seed=config.seed,
            view_px=config.encoder.input_px,
            context=store.manifest.context,
            device=device,
        )

    def __call__(self, indices: Indices, epoch: int) -> tuple[list[View], PoseTarget | None]:
        """Return this rank's views of a batch, and labels if the objective needs them.

        Args:
            indices: Positions of the samples of all ranks; beyond the size of the split those of
                its repetitions in this epoch, with views of their own (see `epoch_order`).
            epoch: Epoch, counted from 1.
        """
        start_s = time.perf_counter()
        repetitions, rows = np.divmod(indices[own_rows(len(indices))], len(self._store))
        chosen = torch.from_numpy(rows)
        crops = self._store.crops(rows, out=self._crops).to(self._device, non_blocking=True)
        ids = self._ids[chosen.to(self._device, non_blocking=True)]
        if repetitions.any():
            ids = ids + torch.from_numpy(repetitions << _ID_BITS).to(self._device)
        views = [self._make_view(crops, ids, epoch=epoch, view=draw) for draw in self._draws]
        target = self._target_of(chosen)
        self.seconds += time.perf_counter() - start_s
        return views, target

    def _target_of(self, chosen: torch.Tensor) -> PoseTarget | None:
        if self._target is None:
            return None
        parts = (self._target.uv, self._target.z, self._target.valid)
        return PoseTarget(*(part[chosen].to(self._device, non_blocking=True) for part in parts))


def _check_ranks(config: PretrainConfig) -> None:
    least = config.global_batch // config.accumulation
    if least < world_size():
        raise InputError(
            f"expected at least one image for each of {world_size()} workers, global_batch "
            f"{config.global_batch} with accumulation {config.accumulation} gives {least}; "
            "use fewer workers"
        )
