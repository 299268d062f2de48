"""Configuration of the encoder and of the heads that sit on it during pretraining."""

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
        name: The architecture: `resnet18`, or your own as `package.module:factory`, a function that
            is given this configuration and returns a module as `handssl.Encoder` describes. In
            Python the function itself will do. Name another one when you change what it computes:
            results are found again by this name.
        width: Channels of the first stage; 64 is ResNet-18 as published, features are 8 x width.
        input_px: Side of the square input.
    """

    name: Annotated[str, BeforeValidator(_named)] = "resnet18"
    width: Width = 64
    input_px: Annotated[int, Field(ge=32, le=512)] = 128


class HeadConfig(Config):
    """Hidden and output sizes of the heads; the input size follows from the encoder.

    Attributes:
        projection_hidden: Hidden units of the contrastive projection head.
        projection_out: Dimensions of the space in which Eq. 1 compares.
        relative_hidden: Hidden units of each relative head; its output is theta's size.
    """

    projection_hidden: Units = 2048
    projection_out: Units = 128
    relative_hidden: Units = 1024
