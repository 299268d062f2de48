"""Estimate the effect of each transformation in mm, from complete or early-stopped sweeps."""

from handssl.report.effects.gaps import BlockGap
from handssl.report.effects.of_rows import StudyEffects, effect_gaps, study_effects
from handssl.report.effects.words import describe

__all__ = ["BlockGap", "StudyEffects", "describe", "effect_gaps", "study_effects"]
