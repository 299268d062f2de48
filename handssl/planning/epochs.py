"""Expected epochs of trials under halving, before and during a stage."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from handssl.scheduling.halving import Arm, Rules
from handssl.scheduling.halving.rules import cohorts_of


def survivors(members: int, rules: Rules) -> tuple[float, ...]:
    """Return how many trials of a cohort continue from each rung.

    Exact under `order: cohort`. Under `arrival` it is the mean over orders of arrival: the i-th to
    arrive continues if it is among the best `kept(i)` so far, with the probability kept(i) / i.

    Args:
        members: Number of trials that are compared, none of which diverges.
        rules: Rules of halving.

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
    """Return the expected epochs of all trials of a cohort together.

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
        arms: Arms of the stage.
        rules: Rules of halving; None: all trials reach the end.

    Returns:
        Expected number of trials that reach each rung and the end, by epoch, including exempt ones.
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


def epochs_left(
    arms: Sequence[Arm],
    rules: Rules | None,
    reached: Mapping[str, float],
    *,
    over: Container[str] = (),
    stopped: Container[str] = (),
) -> dict[str, float]:
    """Return the epochs that each trial will still train, as a mean over possible rankings.

    A trial trains the missing epochs of each stretch between rungs with the probability that it
    gets that far: of n trials before a rung, as many continue as the rules keep. If a rung has
    stopped a trial of the cohort, it is decided, and the remaining trials have passed it.

    Args:
        arms: Arms of the stage.
        rules: Rules of halving; None: all trials train to the end.
        reached: Last epoch of each trial that has started.
        over: Ids of trials that need no more training.
        stopped: Ids of those among them that a rung has stopped.
    """
    whole = {arm.trial_id: float(arm.epochs or (rules.epochs if rules else 0)) for arm in arms}
    found = {name: max(0.0, epochs - reached.get(name, 0.0)) for name, epochs in whole.items()}
    for cohort in cohorts_of(arms, rules) if rules else ():
        assert rules is not None  # noqa: S101
        decided = max((reached[name] for name in cohort if name in stopped), default=0.0)
        for name in cohort:
            epoch = reached.get(name, 0.0)
            sure = epoch if rules.order == "arrival" else decided
            found[name] = _expected_left(epoch, sure, len(cohort), rules)
    return {name: 0.0 if name in over else epochs for name, epochs in found.items()}


def _expected_left(epoch: float, sure: float, members: int, rules: Rules) -> float:
    """Return the mean epochs left of a trial that has passed the rungs up to the epoch `sure`."""
    counts = (members, *survivors(members, rules))
    passed = sum(rung <= sure for rung in rules.rungs)
    stretches = zip(counts, (0, *rules.rungs), (*rules.rungs, rules.epochs), strict=True)
    return sum(
        min(1.0, count / counts[passed]) * max(0.0, end - max(start, epoch))
        for count, start, end in stretches
    )
