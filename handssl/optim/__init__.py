"""Optimizers and schedules."""

from handssl.optim.build import build, trust_metrics
from handssl.optim.chain import ChainOptimizer
from handssl.optim.config import OptimizerConfig
from handssl.optim.groups import decay_groups
from handssl.optim.layers import layer_rates
from handssl.optim.schedules import (
    cosine_factor,
    lr_factor,
    peak_lr,
    wsd_decay_start,
    wsd_factor,
)

__all__ = [
    "ChainOptimizer",
    "OptimizerConfig",
    "build",
    "cosine_factor",
    "decay_groups",
    "layer_rates",
    "lr_factor",
    "peak_lr",
    "trust_metrics",
    "wsd_decay_start",
    "wsd_factor",
]
