"""Build the encoder and the objective of a configuration."""

from __future__ import annotations

from handssl.models import Encoder, build_encoder
from handssl.objectives import Objective, build_objective
from handssl.training.config import PretrainConfig


def networks(config: PretrainConfig) -> tuple[Encoder, Objective]:
    """Return the encoder and the objective of a trial, without initialised weights.

    Args:
        config: Configuration of the trial.

    Raises:
        InputError: A custom encoder cannot be imported or is not an encoder.
    """
    encoder = build_encoder(config.encoder)
    objective = build_objective(
        config.objective,
        dim=encoder.dim,
        heads=config.heads,
        augmentation=config.augmentation,
        composition=config.composition,
        temperature=config.temperature,
        relative=config.relative,
        relative_on=config.relative_on,
        mixed=config.mixed,
        contrastive_weight=config.contrastive_weight,
    )
    return encoder, objective
