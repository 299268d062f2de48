"""Estimate the effect of each transformation in mm, from complete or early-stopped sweeps."""

from handssl.report.effects.contrasts import Effect, effect_names, full_effects, last_value_effects
from handssl.report.effects.difference import BlockSample, difference_effects
from handssl.report.effects.finishers import finisher_effects
from handssl.report.effects.gaps import BlockGap
from handssl.report.effects.of_rows import StudyEffects, effect_gaps, said, study_effects

__all__ = [
    "BlockGap",
    "BlockSample",
    "Effect",
    "StudyEffects",
    "difference_effects",
    "effect_gaps",
    "effect_names",
    "finisher_effects",
    "full_effects",
    "last_value_effects",
    "said",
    "study_effects",
]
