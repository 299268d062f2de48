"""Simulation of a sweep without training, with time in epochs and the halving of real sweeps."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from handssl.scheduling.halving import Arm, HalvingState, Rules, Status


@dataclass(frozen=True)
class Simulated:
    """Result of a simulation.

    Attributes:
        log: (trial, epoch, value) in the order in which they were reported; NaN for divergence.
        status: Final status of every trial.
        trained: Epochs trained, by trial.
        makespan: Time in epochs until the last worker was idle.
        reached: Number of trials that reached each rung, by epoch.
    """

    log: tuple[tuple[str, int, float], ...]
    status: dict[str, Status]
    trained: dict[str, int]
    makespan: int
    reached: dict[int, int]

    @property
    def epochs(self) -> int:
        """Epochs of all trials together."""
        return sum(self.trained.values())


@dataclass
class _Sweep:
    """State of a simulated sweep: progress of all trials, and the queue of ready ones."""

    arms: Sequence[Arm]
    state: HalvingState
    curves: Mapping[str, Sequence[float]]
    stops: tuple[int, ...]
    last: dict[str, int]
    place: dict[str, int] = field(default_factory=dict)
    ready: list[tuple[int, str]] = field(default_factory=list)
    trained: dict[str, int] = field(default_factory=dict)
    log: list[tuple[str, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place = {arm.trial_id: number for number, arm in enumerate(self.arms)}
        self.ready = [(number, name) for name, number in self.place.items()]
        self.trained = dict.fromkeys(self.place, 0)

    def next(self) -> str | None:
        """Return the first trial of the plan that may train and is not running; None if none is."""
        return heapq.heappop(self.ready)[1] if self.ready else None

    def target(self, name: str) -> int:
        """Return the epoch of a trial's next event: a rung, its end, or its divergence."""
        now, curve = self.trained[name], self.curves[name]
        end = next((stop for stop in self.stops if stop > now), self.last[name])
        end = min(end, self.last[name])
        return next((e for e in range(now + 1, end + 1) if not _is_there(curve, e)), end)

    def report(self, name: str, epoch: int) -> bool:
        """Report a trial's epoch; return whether its worker continues with it."""
        curve = self.curves[name]
        value = curve[epoch - 1] if _is_there(curve, epoch) else math.nan
        self.trained[name] = epoch
        self.log.append((name, epoch, value))
        self.state.reported(name, epoch, value)
        changed, self.state.changed = self.state.changed, []
        for other in changed:
            if other != name and self.state.status(other) == "goes_on":
                heapq.heappush(self.ready, (self.place[other], other))
        return self.state.status(name) == "goes_on"


def simulate(
    arms: Sequence[Arm],
    rules: Rules | None,
    curves: Mapping[str, Sequence[float]],
    *,
    workers: int = 1,
    epochs: int = 0,
) -> Simulated:
    """Simulate trials on a number of workers; an epoch takes one unit of time.

    Args:
        arms: All arms, in the order of the plan.
        rules: Rules of the halving; None: no trial is stopped.
        curves: Values after each epoch, by trial; a value that is missing or not finite means that
            the trial diverged there.
        workers: Number of trials that run at once.
        epochs: Epochs of a whole trial, used without rules.

    Returns:
        The result; under `order: cohort` the survivors do not depend on `workers`.

    Example:
        >>> arms = [Arm("a", 1), Arm("b", 1)]
        >>> rules = Rules(epochs=4, grace_epochs=2, reduction_factor=2.0)
        >>> found = simulate(arms, rules, {"a": [9, 8, 7, 6], "b": [9, 9, 9, 9]}, workers=2)
        >>> found.trained, found.makespan
        ({'a': 4, 'b': 2}, 4)
    """
    whole = rules.epochs if rules else epochs
    sweep = _Sweep(
        arms,
        HalvingState(arms, rules, epochs=whole),
        curves,
        rules.rungs if rules else (),
        {arm.trial_id: arm.epochs or whole for arm in arms},
    )
    busy: list[tuple[int, int, str, int]] = []
    now = order = 0
    while True:
        while len(busy) < workers and (name := sweep.next()) is not None:
            target = sweep.target(name)
            heapq.heappush(busy, (now + target - sweep.trained[name], order, name, target))
            order += 1
        if not busy:
            break
        now, _, name, epoch = heapq.heappop(busy)
        if sweep.report(name, epoch):
            target = sweep.target(name)
            heapq.heappush(busy, (now + target - epoch, order, name, target))
            order += 1
    return _summed(sweep, rules, now)


def _summed(sweep: _Sweep, rules: Rules | None, makespan: int) -> Simulated:
    status = {name: sweep.state.status(name) for name in sweep.place}
    reached: Counter[int] = Counter()
    for rung in rules.rungs if rules else ():
        reached[rung] = sum(epoch >= rung for epoch in sweep.trained.values())
    return Simulated(tuple(sweep.log), status, sweep.trained, makespan, dict(reached))


def _is_there(curve: Sequence[float], epoch: int) -> bool:
    return epoch <= len(curve) and math.isfinite(curve[epoch - 1])
