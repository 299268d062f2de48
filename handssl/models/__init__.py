"""Encoders and heads."""

from handssl.models.config import EncoderConfig, HeadConfig, InitConfig
from handssl.models.encoder import Encoder, encoder_name
from handssl.models.heads import RelativeHead, mlp
from handssl.models.initial import initialise
from handssl.models.resnet import ResNet18, build_encoder

__all__ = [
    "Encoder",
    "EncoderConfig",
    "HeadConfig",
    "InitConfig",
    "RelativeHead",
    "ResNet18",
    "build_encoder",
    "encoder_name",
    "initialise",
    "mlp",
]
