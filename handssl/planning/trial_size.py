"""Size of a trial: parameters, views per epoch, bytes on disk; computed without allocation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import torch

from handssl.training.config import PretrainConfig
from handssl.training.network import networks

# Optimizer state tensors per weight, each of the weight's size.
_STATES = {"adam": 2, "adam_larc": 2, "lamb": 2, "lars": 1}
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class TrialSize:
    """Size of one configuration.

    Attributes:
        draws: Views of each image that a step encodes.
        encoder_bytes: Size of the encoder's file in bytes.
        checkpoint_bytes: Size of one checkpoint in bytes: weights and the optimizer's state.
    """

    draws: int
    encoder_bytes: int
    checkpoint_bytes: int

    def views_per_epoch(self, config: PretrainConfig, images: int) -> float:
        """Return the number of views that an epoch sends through the encoder.

        Args:
            config: Configuration of the trial.
            images: Number of images of the split `pretrain`.
        """
        pairs = max(2, self.draws) // 2 if config.equal_views else 1
        return images // config.global_batch * config.global_batch * self.draws / pairs


def trial_size(config: PretrainConfig) -> TrialSize:
    """Return the size of a configuration, computed from its shapes.

    Args:
        config: Configuration of a trial.

    Example:
        >>> trial_size(PretrainConfig()).draws
        2
    """
    kept = config.model_copy(update={"seed": 0})
    return _trial_size(json.dumps(kept.model_dump(mode="json"), sort_keys=True))


@lru_cache(maxsize=1024)
def _trial_size(text: str) -> TrialSize:
    config = PretrainConfig.parse(json.loads(text))
    with torch.device("meta"):
        encoder, objective = networks(config)
    weights = sum(p.numel() for m in (encoder, objective) for p in m.parameters())
    buffers = sum(b.numel() for m in (encoder, objective) for b in m.buffers())
    numbers = sum(t.numel() for t in encoder.state_dict().values())
    states = 1 + _STATES[config.optimizer.name]
    return TrialSize(
        max(1, len(objective.draws)),
        numbers * _FLOAT_BYTES,
        (weights * states + buffers) * _FLOAT_BYTES,
    )
