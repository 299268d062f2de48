"""Latent 2.5D heatmap network: an encoder-decoder with skip connections, from images to maps."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from handssl.models.encoder import Encoder
from handssl.models.latent_maps import JOINTS, MapShape

MAPS = 2 * JOINTS
LEVELS = 4


class HeatmapNetwork(Encoder):
    """Encoder-decoder network up to its 2K = 42 latent maps, which are its features, vectorised.

    A 7 x 7 convolution with stride r (the stem), then S stages. A stage halves the maps four times
    and doubles them again; every level has two 3 x 3 convolutions with C channels on the way down
    and two on the way up, where the maps of the same level are appended; a 1 x 1 convolution gives
    its latent maps. A later stage sees the maps of the stem and the latent maps before it. Every
    convolution but those to the latent maps is followed by BatchNorm and ReLU.

    Number of parameters:

        149 C + S (198 C^2 + 78 C + 42) + (S - 1) (C^2 + 44 C),

    13.0 million for one stage of 256 channels, 0.83 million for 64.

    Args:
        channels: C, channels of every convolution; 256 in the reference.
        stages: S; the reference has one or two.
        map_stride: r, pixels of the view for each pixel of the maps along a side; the reference
            has 1.
        input_px: Side P of the view in pixels; maps have a side of P / r, rounded up.

    Attributes:
        map_shape: (42, P / r, P / r).

    Example:
        >>> network = HeatmapNetwork(8, map_stride=2, input_px=32)
        >>> network.map_shape, network(torch.zeros(2, 3, 32, 32)).shape
        ((42, 16, 16), torch.Size([2, 10752]))

    Reference:
        U. Iqbal, P. Molchanov, T. Breuel, J. Gall, J. Kautz, "Hand pose estimation via latent 2.5D
        heatmap regression", ECCV 2018; own layers, of the size that it states.
    """

    def __init__(
        self, channels: int, *, stages: int = 1, map_stride: int = 1, input_px: int = 128
    ) -> None:
        super().__init__()
        side = -(-input_px // map_stride)
        self.map_shape: MapShape = (MAPS, side, side)
        self.dim = MAPS * side**2
        self.stem = _convolution(3, channels, size=7, stride=map_stride)
        self.stages = nn.ModuleList(_Stage(channels) for _ in range(stages))
        self.outputs = nn.ModuleList(nn.Conv2d(channels, MAPS, 1) for _ in range(stages))
        self.merges = nn.ModuleList(
            _convolution(channels + MAPS, channels, size=1) for _ in range(stages - 1)
        )

    def forward(self, images: torch.Tensor, *, all_stages: bool = False) -> torch.Tensor:
        """Return the latent maps of images (B, 3, P, P), vectorised.

        Args:
            images: Normalised images.
            all_stages: Whether to return the maps of every stage, the last one's at the end.

        Returns:
            (B, dim), or with `all_stages` (B, S dim).
        """
        first = self.stem(images)
        found: list[torch.Tensor] = []
        for number, (stage, output) in enumerate(zip(self.stages, self.outputs, strict=True)):
            merged = self.merges[number - 1](torch.cat((first, found[-1]), 1)) if found else first
            found.append(output(stage(merged)))
        return torch.cat([maps.flatten(1) for maps in (found if all_stages else found[-1:])], 1)


class _Stage(nn.Module):
    """Encoder-decoder with skip connections, C channels in and out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_pair(channels, channels) for _ in range(LEVELS))
        self.bottom = _pair(channels, channels)
        self.up = nn.ModuleList(_pair(2 * channels, channels) for _ in range(LEVELS))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        skipped = []
        for block in self.down:
            skipped.append(block(maps))
            maps = functional.max_pool2d(skipped[-1], 2, ceil_mode=True)
        maps = self.bottom(maps)
        for block in self.up:
            same = skipped.pop()
            larger = functional.interpolate(maps, size=same.shape[-2:])
            maps = block(torch.cat((larger, same), 1))
        return maps


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(inputs, outputs), *_convolution(outputs, outputs))


def _convolution(inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
