"""Pretraining: configuration, loop, checkpoints, trials."""

from handssl.training.config import PretrainConfig
from handssl.training.execution import Execution
from handssl.training.loop import Pretraining
from handssl.training.trial import EpochResult, Trial

__all__ = ["EpochResult", "Execution", "PretrainConfig", "Pretraining", "Trial"]
