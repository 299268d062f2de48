"""Configuration of the encoder and of the pretraining heads."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from handssl.config import Config
from handssl.models.encoder import OWN, encoder_name

# Below 8 channels torch 2.15 corrupts memory in the channels-last convolution on AVX2 processors.
Width = Annotated[int, Field(ge=8, le=256, multiple_of=8)]
Units = Annotated[int, Field(ge=1, le=16384)]


def _named(value: Any) -> Any:
    if callable(value):
        return encoder_name(value)
    if isinstance(value, str) and value != "resnet18" and not re.match(OWN, value):
        raise ValueError("expected resnet18 or package.module:factory")
    return value


class EncoderConfig(Config):
    """Network f up to the pooled features.

    Attributes:
        name: The architecture: `resnet18`, or a custom one as `package.module:factory`, a function
            that takes this configuration and returns a module that implements `handssl.Encoder`.
            In Python the function itself is accepted too. Change the name when you change what it
            computes: results are identified by this name.
        width: Channels of the first stage; 64 is the published ResNet-18; features are 8 x width.
        input_px: Side of the square input in pixels.
    """

    name: Annotated[str, BeforeValidator(_named)] = "resnet18"
    width: Width = 64
    input_px: Annotated[int, Field(ge=32, le=512)] = 128


class HeadConfig(Config):
    """Hidden and output sizes of the heads; the encoder determines the input size.

    Attributes:
        projection_hidden: Hidden units of the contrastive projection head.
        projection_out: Output size of the projection head, the dimension of the space of Eq. 1.
        relative_hidden: Hidden units of each relative head; its output size is that of theta.
    """

    projection_hidden: Units = 2048
    projection_out: Units = 128
    relative_hidden: Units = 1024
