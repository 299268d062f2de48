"""Pretraining: configuration, loop, checkpoints, trials."""

from handssl.training.config import PretrainConfig
from handssl.training.loop import Pretraining
from handssl.training.trial import EpochResult, Trial

__all__ = ["EpochResult", "PretrainConfig", "Pretraining", "Trial"]
