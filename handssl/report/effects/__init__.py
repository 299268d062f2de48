"""What each transformation does, in mm, from all compositions or from those that were run whole."""

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
