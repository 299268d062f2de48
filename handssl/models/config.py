"""Configuration of the encoder and of the pretraining heads."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from handssl.config import Config
from handssl.models.encoder import OWN, encoder_name

# Below 8 channels torch 2.15 corrupts memory in the channels-last convolution on AVX2 processors.
Width = Annotated[int, Field(ge=8, le=256, multiple_of=8)]
Units = Annotated[int, Field(ge=1, le=16384)]
ProjectionName = Literal["mlp", "soft_argmax"]
BUILT_IN = ("resnet18", "heatmap")
# Options that were added after results were stored: only values other than the default are written,
# so that older configurations keep their text and their identity.
_OF_HEATMAP = ("stages", "map_stride")
_ADDED = {*_OF_HEATMAP, "projection", "depth_weight"}


def _named(value: Any) -> Any:
    if callable(value):
        return encoder_name(value)
    if isinstance(value, str) and value not in BUILT_IN and not re.match(OWN, value):
        raise ValueError(f"expected {', '.join(BUILT_IN)} or package.module:factory")
    return value


class _GrownConfig(Config):
    """Configuration that omits added options at their default."""

    @model_serializer(mode="wrap")
    def _without_added(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields, values = type(self).model_fields, handler(self)
        return {
            name: value
            for name, value in values.items()
            if name not in _ADDED or value != fields[name].default
        }


class EncoderConfig(_GrownConfig):
    """Network f up to its features: pooled ones, or vectorised maps.

    Attributes:
        name: The architecture: `resnet18`; `heatmap`, the latent 2.5D heatmap network of Sec. 4.5,
            whose features are its 42 latent maps; or a custom one as `package.module:factory`, a
            function that takes this configuration and returns a module that implements
            `handssl.Encoder`. In Python the function itself is accepted too. Change the name when
            you change what it computes: results are identified by this name.
        width: Channels of the first stage; 64 is the published ResNet-18; features are 8 x width.
            `heatmap`: channels of every convolution; 256 in its reference.
        input_px: Side of the square input in pixels.
        stages: `heatmap`: number of encoder-decoders in a row, each with a loss of its own.
        map_stride: `heatmap`: pixels of the input for each pixel of the maps along a side.
    """

    name: Annotated[str, BeforeValidator(_named)] = "resnet18"
    width: Width = 64
    input_px: Annotated[int, Field(ge=32, le=512)] = 128
    stages: Annotated[int, Field(ge=1, le=4)] = 1
    map_stride: Literal[1, 2, 4] = 1

    @model_validator(mode="after")
    def _reads_what_is_given(self) -> Self:
        fields = type(self).model_fields
        given = [n for n in _OF_HEATMAP if getattr(self, n) != fields[n].default]
        if given and self.name == "resnet18":
            raise ValueError(
                f"encoder 'resnet18' does not read {', '.join(given)}; leave it out or choose "
                "name: heatmap"
            )
        return self


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


class HeadConfig(_GrownConfig):
    """Hidden and output sizes of the heads; the encoder determines the input size.

    Vectorised maps are long: with 42 maps of 32 x 32 pixels, 2,048 hidden units are 88 million
    weights, 64 are 2.8 million.

    Attributes:
        projection_hidden: Hidden units of the contrastive projection head.
        projection_out: Output size of the projection head, the dimension of the space of Eq. 1.
        relative_hidden: Hidden units of each relative head; its output size is that of theta.
        projection: Projection head: `mlp`, two linear layers on the features; `soft_argmax`, two
            convolutions on the maps of `heatmap` and the points of the published code, with
            `projection_hidden` channels between them.
        depth_weight: Supervised `heatmap`: weight of z, in bone lengths, in the loss next to uv, in
            box sides. The default is that of the reference, 20 px of a box of 128 px.
    """

    projection_hidden: Units = 2048
    projection_out: Units = 128
    relative_hidden: Units = 1024
    projection: ProjectionName = "mlp"
    depth_weight: Annotated[float, Field(gt=0, le=100)] = 20 / 128
