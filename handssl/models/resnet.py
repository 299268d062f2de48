"""ResNet-18 with a width factor, built from torchvision's blocks."""

from __future__ import annotations

import torch
from torch import nn

from handssl.models.config import EncoderConfig
from handssl.models.encoder import Encoder, build_custom
from handssl.models.heatmap import HeatmapNetwork


class ResNet18(Encoder):
    """ResNet-18 up to global average pooling.

    At width 64 its parameters have the names and shapes of torchvision's `resnet18` without `fc`,
    so published weights load. Other widths scale every stage.

    Args:
        width: Channels of the first stage.

    Example:
        >>> ResNet18(width=8)(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 64])

    Reference:
        K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.dim = 8 * width
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return pooled features (B, 8 x width) of images (B, 3, P, P)."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return torch.flatten(nn.functional.adaptive_avg_pool2d(maps, 1), 1)


def build_encoder(config: EncoderConfig) -> Encoder:
    """Return the encoder of a configuration, in channels-last memory layout.

    Raises:
        InputError: It is a custom one that cannot be imported or is not an encoder.
    """
    return _build(config).to(memory_format=torch.channels_last)


def _build(config: EncoderConfig) -> Encoder:
    if config.name == "resnet18":
        return ResNet18(config.width)
    if config.name == "heatmap":
        return HeatmapNetwork(
            config.width,
            stages=config.stages,
            map_stride=config.map_stride,
            input_px=config.input_px,
        )
    return build_custom(config)


def _stage(channels_in: int, channels_out: int, *, stride: int) -> nn.Sequential:
    # Imported here: it loads torch's compiler, 1.7 s for a process that may build no encoder.
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if stride != 1 or channels_in != channels_out:
        shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(channels_out),
        )
    return nn.Sequential(
        BasicBlock(channels_in, channels_out, stride, shortcut),
        BasicBlock(channels_out, channels_out),
    )
