"""How far trials will train under halving, before any has."""

from __future__ import annotations

from collections.abc import Sequence

from handssl.sweep.halving import Arm, Rules
from handssl.sweep.halving.rules import cohorts_of


def survivors(members: int, rules: Rules) -> tuple[float, ...]:
    """Return how many trials of a cohort go on from each rung.

    Exact under `order: cohort`. Under `arrival` it is the mean over orders of arrival: the i-th to
    come goes on if it is among the best `kept(i)` so far, with the probability kept(i) / i.

    Args:
        members: Trials that are compared, none of them diverging.
        rules: Of halving.

    Example:
        >>> survivors(9, Rules(9, 1, 3.0))
        (3, 1)
    """
    found: list[float] = []
    count: float = members
    for _ in rules.rungs:
        if rules.order == "cohort":
            count = rules.kept(int(count))
        else:
            count = sum(rules.kept(i) / i for i in range(1, round(count) + 1))
        found.append(count)
    return tuple(found)


def expected_epochs(members: int, rules: Rules) -> float:
    """Return the epochs that a cohort trains together.

    Example:
        >>> expected_epochs(9, Rules(9, 1, 3.0))
        21
    """
    reach = (*rules.rungs, rules.epochs)
    entering = (members, *survivors(members, rules))
    steps = (b - a for a, b in zip((0, *reach), reach, strict=False))
    return sum(count * length for count, length in zip(entering, steps, strict=True))


def reaching(arms: Sequence[Arm], rules: Rules | None) -> dict[int, float]:
    """Return how many of a stage's trials reach each rung, and the end.

    Args:
        arms: Of the stage.
        rules: None: all reach the end.

    Returns:
        Epoch to trials, those that are exempt included as far as they train.
    """
    if rules is None:
        ends = {arm.epochs or 0 for arm in arms}
        return {end: sum((arm.epochs or 0) >= end for arm in arms) for end in sorted(ends)}
    marks = (*rules.rungs, rules.epochs)
    exempt = [arm.epochs or rules.epochs for arm in arms if arm.exempt]
    found: dict[int, float] = {mark: sum(e >= mark for e in exempt) for mark in marks}
    for cohort in cohorts_of(arms, rules):
        entering = (len(cohort), *survivors(len(cohort), rules))
        for mark, count in zip(marks, entering, strict=True):
            found[mark] += count
    return found


def mean_epochs(arms: Sequence[Arm], rules: Rules | None) -> dict[str, float]:
    """Return the epochs that each trial trains: its own if exempt, else its cohort's mean.

    Args:
        arms: Of the stage.
        rules: None: all train to the end.
    """
    found = {arm.trial_id: float(arm.epochs or (rules.epochs if rules else 0)) for arm in arms}
    for cohort in cohorts_of(arms, rules) if rules else ():
        assert rules is not None  # noqa: S101
        found |= dict.fromkeys(cohort, expected_epochs(len(cohort), rules) / len(cohort))
    return found
