"""Detectable differences with the planned seeds, and effects that a skeleton confounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from handssl.planning.confounding import in_words, over_blocks, within_a_block
from handssl.planning.planned_trials import PlannedStage, transformations_of
from handssl.planning.variation import Variation
from handssl.stats.power import main_effect_mm, paired_mm, skeleton_effect_mm
from handssl.stats.skeleton import Skeletons, aliases
from handssl.study.stages import CompositionsStage
from handssl.study.study import Study


@dataclass(frozen=True)
class Detectable:
    """Smallest difference that is detected with 80 % power, two-sided at 0.05.

    Attributes:
        stage: Name of the stage.
        what: Description of the comparison.
        mm: The difference in mm; infinite if nothing can be tested.
    """

    stage: str
    what: str
    mm: float


def detectable_effects(
    study: Study, stages: Sequence[PlannedStage], variation: Variation
) -> list[Detectable]:
    """Return the detectable differences of each stage.

    Args:
        study: The study.
        stages: The planned stages.
        variation: Variation of paired differences.
    """
    found = []
    for one in stages:
        blocks = len(one.stage.blocks(study.blocks))
        mm = paired_mm(variation.sd_mm, blocks) if blocks > 1 else math.inf
        found.append(Detectable(one.stage.name, "two cells", mm))
        if one.stage.kind == "compositions":
            found += _main_effects(one, blocks, variation)
    return found


def _main_effects(one: PlannedStage, blocks: int, variation: Variation) -> list[Detectable]:
    cells, name = 2 ** len(transformations_of(one)), one.stage.name
    whole = main_effect_mm(variation.sd_mm, cells, blocks, variation.seeds.effect_mm)
    found = [Detectable(name, f"main effect, all {cells} cells trained to the end", whole)]
    size = int(getattr(one.stage, "skeleton", 0))
    if 0 < size < cells:
        mm = skeleton_effect_mm(variation.sd_mm, cells, size, blocks)
        what = f"main effect in these seeds, {size} cells trained to the end, at best"
        found.append(Detectable(name, what, mm))
    return found


def confounding(study: Study, stage: PlannedStage) -> list[str]:
    """Describe what a stage's skeleton confounds; empty for stages without skeleton.

    Args:
        study: The study.
        stage: Planned stage of any kind.
    """
    own = stage.stage
    if not isinstance(own, CompositionsStage) or not own.skeleton:
        return []
    skeletons = own.skeletons(transformations_of(stage))
    if skeletons.whole:
        return []
    blocks = len(own.blocks(study.blocks))
    alone, together = within_a_block(skeletons), over_blocks(skeletons, blocks)
    lines = [f"in one block {line}" for line in in_words(alone)]
    if alone and together != alone:
        rest = in_words(together)
        lines.append(
            f"the cosets of {blocks} blocks together still leave: " + "; ".join(rest)
            if rest
            else f"the cosets of {blocks} blocks together separate all main effects and pairs"
        )
    if own.design == "fraction":
        lines += [_aliases(skeletons, name) for name in sorted(skeletons.columns)]
    return lines or ["no main effect or pair is confounded with another"]


def _aliases(skeletons: Skeletons, name: str) -> str:
    found = aliases(skeletons.columns, skeletons.cells, name)
    return f"in one block the estimate of {name} includes {', '.join(found)}, with a sign or other"
