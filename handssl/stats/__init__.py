"""Statistics: designs, contrasts, effect estimators and power; numpy and scipy alone."""

from handssl.stats.contrasts import (
    Effect,
    effect_names,
    finisher_effects,
    full_effects,
    last_value_effects,
)
from handssl.stats.difference import BlockSample, difference_effects

__all__ = [
    "BlockSample",
    "Effect",
    "difference_effects",
    "effect_names",
    "finisher_effects",
    "full_effects",
    "last_value_effects",
]
