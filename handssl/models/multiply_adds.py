"""Multiply-adds of a network, and the ResNet-18 that has as many as another network."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from handssl.models.config import EncoderConfig
from handssl.models.encoder import Encoder
from handssl.models.resnet import build_encoder

WIDTHS = range(8, 257, 8)


def multiply_adds(encoder: nn.Module, input_px: int) -> int:
    """Return the multiply-adds of one image in convolutions and linear layers.

    A convolution to c maps of h x w pixels from d maps with a kernel of a x b has
    c h w (d / groups) a b, a linear layer inputs x outputs; nothing else is counted.

    Args:
        encoder: Network from images (1, 3, P, P), on any device; `meta` computes nothing.
        input_px: P, side of the image in pixels.

    Example:
        >>> multiply_adds(nn.Conv2d(3, 8, 3, padding=1), 4)
        3456
    """
    found = [0]

    def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            found[0] += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            found[0] += output[0].numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in encoder.modules()]
    was_training = encoder.training
    device = next(encoder.parameters()).device
    try:
        with torch.no_grad():
            encoder.eval()(torch.zeros(1, 3, input_px, input_px, device=device))
    finally:
        encoder.train(was_training)
        for hook in hooks:
            hook.remove()
    return found[0]


def encoder_multiply_adds(config: EncoderConfig) -> int:
    """Return the multiply-adds of an encoder for one view, computed from shapes alone.

    Example:
        >>> round(encoder_multiply_adds(EncoderConfig()) / 1e6)  # ResNet-18, 128 px
        592
    """
    return multiply_adds(_on_meta(config), config.input_px)


def equal_resnet(config: EncoderConfig) -> EncoderConfig:
    """Return the ResNet-18 whose multiply-adds are nearest to those of an encoder, by ratio.

    Widths are multiples of 8, so that the ratio is within 25 % for networks of the size of width 40
    or more, and is to be stated with a comparison.

    Args:
        config: The other encoder.

    Example:
        >>> equal_resnet(EncoderConfig(width=40)).width
        40
    """
    aim = encoder_multiply_adds(config)
    like = EncoderConfig(input_px=config.input_px)
    first, second = (
        encoder_multiply_adds(like.model_copy(update={"width": width})) for width in (8, 16)
    )
    # The first layer is linear in the width, all others are quadratic.
    quadratic = (second - 2 * first) / (16**2 - 2 * 8**2)
    linear = first / 8 - 8 * quadratic
    off = {w: abs(math.log((linear * w + quadratic * w**2) / aim)) for w in WIDTHS}
    return like.model_copy(update={"width": min(off, key=lambda width: off[width])})


def _on_meta(config: EncoderConfig) -> Encoder:
    with torch.device("meta"):
        return build_encoder(config)
