"""Rules of successive halving: arms, rungs, and cohorts of trials that are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from handssl.randomness import permutation

Order = Literal["cohort", "arrival"]


@dataclass(frozen=True)
class Arm:
    """One trial of a stage.

    Attributes:
        trial_id: Id of the trial.
        block: Seed of the trial; only trials of one block are compared.
        exempt: Never stopped and never ranked: it runs whatever its results, so it takes no other
            trial's place in the next rung.
        epochs: Epochs of the whole trial, if they differ from the rules'; such an arm is exempt.
    """

    trial_id: str
    block: int
    exempt: bool = False
    epochs: int | None = None


@dataclass(frozen=True)
class Rules:
    """Parameters of the halving decisions.

    Attributes:
        epochs: Epochs of a whole trial.
        grace_epochs: Epoch of the first rung.
        reduction_factor: eta: rungs are this factor apart, and one in eta continues from each.
        order: `cohort` decides a rung when all trials of a cohort have reached it, so that
            survivors depend on results alone; `arrival` judges each trial against those that
            arrived before (asynchronous halving), so that only the log can be replayed.
        cohort: Trials per cohort, assigned by a seeded shuffle; None: the whole block.
        seed: Seed of that shuffle.
    """

    epochs: int
    grace_epochs: int
    reduction_factor: float
    order: Order = "cohort"
    cohort: int | None = None
    seed: int = 0

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs after which trials may stop.

        Example:
            >>> Rules(epochs=100, grace_epochs=11, reduction_factor=3).rungs
            (11, 33, 99)
        """
        found: list[int] = []
        epoch = Fraction(self.grace_epochs)
        while round(epoch) < self.epochs:
            # A factor near one could give the same epoch twice.
            if not found or round(epoch) > found[-1]:
                found.append(round(epoch))
            epoch *= _decimal(self.reduction_factor)
        return tuple(found)

    def kept(self, count: int) -> int:
        """Return how many of `count` trials continue from a rung: one in eta, at least one.

        Example:
            >>> [Rules(9, 1, 3.0).kept(count) for count in (1, 3, 5, 9)]
            [1, 1, 1, 3]
            >>> Rules(9, 1, 1.1).kept(33)
            30
        """
        return max(1, count // _decimal(self.reduction_factor))


@lru_cache(maxsize=64)
def _decimal(factor: float) -> Fraction:
    """Return a factor exactly as written: 33 / 1.1 is 30, in floating point just below 30."""
    return Fraction(str(factor))


def cohorts_of(arms: Iterable[Arm], rules: Rules) -> list[tuple[str, ...]]:
    """Assign the arms that are not exempt to cohorts, block by block.

    The assignment depends on the trials and the seed, not on the order in which they are listed.

    Args:
        arms: Arms of all blocks.
        rules: Rules, of which order, cohort and seed are used.

    Returns:
        Trial ids of each cohort; under `arrival` the whole block is one cohort.
    """
    blocks: dict[int, list[str]] = {}
    for arm in arms:
        if not arm.exempt:
            blocks.setdefault(arm.block, []).append(arm.trial_id)
    cohorts = []
    for block, names in sorted(blocks.items()):
        ordered = sorted(names)
        size = len(ordered) if rules.order == "arrival" else rules.cohort or len(ordered)
        dealt = permutation(len(ordered), "cohorts", rules.seed, block).tolist()
        shuffled = [ordered[position] for position in dealt]
        cohorts += [tuple(shuffled[i : i + size]) for i in range(0, len(shuffled), size)]
    return cohorts
