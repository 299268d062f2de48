"""Encoders and heads."""

from handssl.models.config import EncoderConfig, HeadConfig, InitConfig
from handssl.models.encoder import Encoder, encoder_name, map_shape
from handssl.models.heads import RelativeHead, mlp, projection_head
from handssl.models.heatmap import HeatmapNetwork
from handssl.models.initial import initialise
from handssl.models.latent_maps import HeatmapHead, MapShape, SoftArgmaxProjection
from handssl.models.resnet import ResNet18, build_encoder

__all__ = [
    "Encoder",
    "EncoderConfig",
    "HeadConfig",
    "HeatmapHead",
    "HeatmapNetwork",
    "InitConfig",
    "MapShape",
    "RelativeHead",
    "ResNet18",
    "SoftArgmaxProjection",
    "build_encoder",
    "encoder_name",
    "initialise",
    "map_shape",
    "mlp",
    "projection_head",
]
