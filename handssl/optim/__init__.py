"""Optimizers and schedules."""

from handssl.optim.optimizer import (
    OptimizerConfig,
    build,
    cosine_factor,
    decay_groups,
    peak_lr,
)

__all__ = ["OptimizerConfig", "build", "cosine_factor", "decay_groups", "peak_lr"]
