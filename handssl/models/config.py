"""Configuration of the encoder and of the pretraining heads."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

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


class InitConfig(Config):
    """Initial weights of the encoder; heads and log sigmas always have their own.

    In YAML and on the command line a text is enough: `random`, a file or a run.

    Attributes:
        weights: File with a state dict (torchvision's ResNet, PeCLR's or one of handssl;
            `.safetensors`, or what `torch.save` wrote), or a run, by its trial id, its folder or
            its MLflow run id; empty: random, drawn from the seed. Where a file lies is not part
            of a trial's identity.
        digest: Digest of the encoder's tensors, part of the identity; filled in when a study
            starts. Other weights than those with a given digest are refused.

    Example:
        >>> InitConfig.parse("resnet18.pth").weights
        'resnet18.pth'
        >>> InitConfig.parse("random") == InitConfig()
        True
    """

    weights: str = ""
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")] = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            raise ValueError("expected random, a file or a run; put a name of digits in quotes")
        return {"weights": "" if value == "random" else value} if isinstance(value, str) else value

    @property
    def is_random(self) -> bool:
        """Whether the weights are drawn from the seed."""
        return not (self.weights or self.digest)

    def content(self) -> InitConfig:
        """Return what determines the weights: the digest alone, once it is known.

        Example:
            >>> InitConfig(weights="a.pth", digest="0" * 32).content() == InitConfig(
            ...     weights="moved/b.pth", digest="0" * 32).content()
            True
        """
        return InitConfig(digest=self.digest) if self.digest else self


WrittenInit = Annotated[
    InitConfig, BeforeValidator(lambda v: v, json_schema_input_type=str | InitConfig)
]
"""Initial weights as users write them: a text, or keys."""


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
