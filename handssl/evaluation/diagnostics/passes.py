"""Encode a bounded number of held-out images, with one transformation at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handssl.data.store import PackedSplit
from handssl.randomness import derive_key, uniforms
from handssl.transforms import (
    AugmentConfig,
    Theta,
    ViewMaker,
    make_views,
    plain_view,
    view_matrix,
)

QUARTERS = 4
_BATCH = 128
# Draws are equal in every epoch, so that a curve shows only changes of the encoder.
_EPOCH = 0


@dataclass(frozen=True)
class EncodedView:
    """Features of one view of every image, on the CPU.

    Attributes:
        features: Features, float32 (N, D).
        theta: Drawn parameters, from `draw_theta`.
        matrix: Map from view to stored crop in box sides, (N, 2, 3).
    """

    features: torch.Tensor
    theta: Theta
    matrix: torch.Tensor


@dataclass(frozen=True)
class Passes:
    """Encodes the same images of a split repeatedly.

    Attributes:
        encoder: The encoder, frozen by the caller.
        store: The split.
        augmentation: Ranges; a transformation is applied to every view, with probability 1.
        view_px: Side of the encoder's input in pixels.
        seed: The trial's seed, from which a separate key is derived.
        images: Maximum number of images, evenly spaced over the split.
        batch: Number of images per batch.
    """

    encoder: nn.Module
    store: PackedSplit
    augmentation: AugmentConfig
    view_px: int
    seed: int
    images: int
    batch: int = _BATCH

    @property
    def chosen(self) -> NDArray[np.int64]:
        """Positions of the encoded images in the split, (N,)."""
        count = min(self.images, len(self.store))
        return np.arange(count, dtype=np.int64) * len(self.store) // count

    def plain(self) -> torch.Tensor:
        """Return the features (N, D) of the untransformed images."""
        context = self.store.manifest.context
        return torch.cat(
            [
                self._encode(plain_view(crops, view_px=self.view_px, context=context))
                for crops, _ in self._batches()
            ]
        )

    def view(self, transformation: str, number: int) -> EncodedView:
        """Encode a view with one transformation; views of different numbers are independent."""
        maker, parts = self._maker(transformation), []
        for crops, ids in self._batches():
            made = maker(crops, ids, epoch=_EPOCH, view=number)
            parts.append(EncodedView(self._encode(made.images), made.theta, made.matrix))
        return EncodedView(
            torch.cat([part.features for part in parts]),
            {
                name: torch.cat([part.theta[name].cpu() for part in parts])
                for name in parts[0].theta
            },
            torch.cat([part.matrix.cpu() for part in parts]),
        )

    def quarter_turns(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode every image after a random number of quarter turns.

        A square rotated by quarter turns about its centre covers itself: no view leaves the stored
        crop, for any context, and pixels map to pixels, so that no resampling reveals the angle.

        Returns:
            Features (N, D), and quarter turns int64 (N,), 0 to 3.
        """
        maker, rows, turns = self._maker("rotate"), [], []
        for crops, ids in self._batches():
            turn = quarter_turns_of(ids, seed=self.seed)
            theta = quarter_theta(turn)
            matrix = view_matrix(theta, crops.new_empty(len(crops), dtype=torch.float32))
            rows.append(self._encode(maker.render(crops, theta, matrix, ids, key=0)))
            turns.append(turn.cpu())
        return torch.cat(rows), torch.cat(turns)

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(self.chosen), self.batch):
            rows = self.chosen[start : start + self.batch]
            yield self.store.crops(rows).to(self._device), self.store.ids[rows].to(self._device)

    def _encode(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.encoder(images.contiguous(memory_format=torch.channels_last))
        return features.float().cpu()

    def _maker(self, transformation: str) -> ViewMaker:
        always = getattr(self.augmentation, transformation).model_copy(update={"probability": 1.0})
        return make_views(
            self.augmentation.model_copy(update={transformation: always}),
            (transformation,),
            seed=derive_key("diagnostics", self.seed),
            view_px=self.view_px,
            context=self.store.manifest.context,
            device=self._device,
        )

    @property
    def _device(self) -> torch.device:
        parameter = next(self.encoder.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device


def quarter_turns_of(ids: torch.Tensor, *, seed: int) -> torch.Tensor:
    """Draw the number of quarter turns of each sample, int64 (B,), 0 to 3."""
    draws = uniforms(ids, 1, derive_key("diagnostics", seed, "quarter_turns"))
    return (draws[:, 0] * QUARTERS).long()


def quarter_theta(turns: torch.Tensor) -> Theta:
    """Return theta of a rotation by quarter turns (B,)."""
    angle = turns.to(torch.float32) * (torch.pi / 2)
    return {"rotate": torch.stack((torch.ones_like(angle), angle), dim=1)}
