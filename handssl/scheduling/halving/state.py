"""The state of halving, folded from a log one entry at a time."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from handssl.scheduling.halving.rules import Arm, Rules, cohorts_of

Status = Literal["goes_on", "waits", "stopped", "out", "done"]
_Key = tuple[float, str]


@dataclass
class _Cohort:
    """Trials of one cohort with their value per rung."""

    members: list[set[str]]
    values: list[dict[str, float]]
    bars: list[_Key | None]
    sorted_keys: list[list[_Key]]


@dataclass
class _Trial:
    arm: Arm
    cohort: _Cohort | None
    rung: int = 0  # the next one it has to pass
    epoch: int = 0
    status: Status = "goes_on"
    values: dict[int, float] = field(default_factory=dict)
    has_diverged: bool = False


class HalvingState:
    """Status of every trial, given what has been reported so far.

    A pure fold: the same entries in the same order give the same state, and under `order: cohort`
    the survivors do not depend on the order. Entries that come twice change nothing.

    A trial that diverged, failed or was cancelled ranks last and does not continue; at the rungs
    that it had reached before it diverged, its value counts. If a failed trial is run again, its
    rung waits for it; if that rung is decided already, the trial continues if it is better than the
    worst survivor.

    Args:
        arms: All trials of the stage.
        rules: Rules of the decisions; None: no trial is ever stopped.
        epochs: Epochs of a whole trial, used without rules.

    Attributes:
        changed: Ids of trials that were stopped or may continue since the caller last cleared it.

    Example:
        >>> arms = [Arm("a", 1), Arm("b", 1)]
        >>> state = HalvingState(arms, Rules(epochs=4, grace_epochs=2, reduction_factor=2.0))
        >>> state.reported("a", 2, 70.0)
        >>> state.status("a"), state.target("b")
        ('waits', 2)
        >>> state.reported("b", 2, 60.0)
        >>> state.status("a"), state.status("b"), state.target("b")
        ('stopped', 'goes_on', 4)

    Reference:
        L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.
    """

    def __init__(self, arms: Iterable[Arm], rules: Rules | None, *, epochs: int = 0) -> None:
        arms = list(arms)
        self._rules = rules
        self._rungs = rules.rungs if rules else ()
        self._epochs = rules.epochs if rules else epochs
        self.changed: list[str] = []
        of: dict[str, _Cohort] = {}
        for names in cohorts_of(arms, rules) if rules else ():
            cohort = _cohort(names, len(self._rungs))
            of |= dict.fromkeys(names, cohort)
        self._trials = {arm.trial_id: _Trial(arm, of.get(arm.trial_id)) for arm in arms}

    def reported(self, trial_id: str, epoch: int, value: float) -> None:
        """Record the primary measure of a trial after an epoch; not finite means it diverged."""
        trial = self._trials[trial_id]
        if not math.isfinite(value):
            self.diverged(trial_id)
            return
        trial.values.setdefault(epoch, value)
        trial.epoch = max(trial.epoch, epoch)
        if trial.status == "out":  # run again
            trial.status, trial.has_diverged = "goes_on", False
        self._advance(trial)

    def diverged(self, trial_id: str) -> None:
        """Record that a trial has diverged after the epochs that were reported."""
        self._trials[trial_id].has_diverged = True
        self._advance(self._trials[trial_id])

    def left(self, trial_id: str) -> None:
        """Record that a trial failed, was cancelled, or has diverged and reports nothing more."""
        trial = self._trials[trial_id]
        if trial.status in ("stopped", "out", "done"):
            return
        trial.status = "out"
        if trial.cohort and trial.rung < len(self._rungs):
            trial.cohort.values[trial.rung][trial_id] = math.inf
            self._decide(trial.cohort, trial.rung)

    def status(self, trial_id: str) -> Status:
        """Return whether a trial continues, waits for its rung, was stopped, is out, or is done."""
        return self._trials[trial_id].status

    def target(self, trial_id: str) -> int:
        """Return the epoch up to which a trial may train at present."""
        trial = self._trials[trial_id]
        if trial.cohort is None or self._rules is None or self._rules.order == "arrival":
            return self._last(trial)
        return self._rungs[trial.rung] if trial.rung < len(self._rungs) else self._epochs

    def retried(self, trial_id: str) -> None:
        """Record that a failed trial is run again: it counts at rungs not decided yet."""
        trial = self._trials[trial_id]
        if trial.status != "out":
            return
        trial.status = "goes_on"
        if trial.cohort and trial.rung < len(self._rungs) and trial.cohort.bars[trial.rung] is None:
            trial.cohort.values[trial.rung].pop(trial_id, None)

    def _last(self, trial: _Trial) -> int:
        return self._epochs if trial.arm.epochs is None else trial.arm.epochs

    def _advance(self, trial: _Trial) -> None:
        """Advance a trial past every rung it has reached, as far as those are decided."""
        while trial.status == "goes_on":
            if trial.cohort and trial.rung < len(self._rungs):
                if trial.epoch >= self._rungs[trial.rung]:
                    self._arrive(trial, trial.cohort, trial.rung)
                    continue
            elif trial.epoch >= self._last(trial):
                trial.status = "done"
                return
            if trial.has_diverged:
                self.left(trial.arm.trial_id)
            return

    def _arrive(self, trial: _Trial, cohort: _Cohort, rung: int) -> None:
        """Enter a rung; afterwards the trial is past it, waits or is stopped."""
        name, at = trial.arm.trial_id, self._rungs[rung]
        # A restart may have left a gap: the next known epoch counts.
        value = trial.values[min(epoch for epoch in trial.values if epoch >= at)]
        key, bar = (value, name), cohort.bars[rung]
        if self._rules is not None and self._rules.order == "arrival":
            self._judge(trial, cohort, key)
        elif bar is not None:
            self._settle(trial, goes_on=key <= bar)
            if key <= bar and rung + 1 < len(self._rungs) and cohort.bars[rung + 1] is None:
                cohort.members[rung + 1].add(name)
        else:
            trial.status = "waits"
            cohort.values[rung][name] = value
            self._decide(cohort, rung)

    def _judge(self, trial: _Trial, cohort: _Cohort, key: _Key) -> None:
        """Judge an arrival against those before it, itself included."""
        assert self._rules is not None  # noqa: S101  arms have cohorts only under rules
        arrived = cohort.sorted_keys[trial.rung]
        insort(arrived, key)
        self._settle(trial, goes_on=bisect_left(arrived, key) < self._rules.kept(len(arrived)))

    def _decide(self, cohort: _Cohort, rung: int) -> None:
        """Decide a rung once all of its members have arrived."""
        values = cohort.values[rung]
        if self._rules is None or self._rules.order == "arrival":
            return
        if cohort.bars[rung] is not None or len(values) < len(cohort.members[rung]):
            return
        ranked = sorted((value, name) for name, value in values.items())
        finite = [key for key in ranked if math.isfinite(key[0])]
        survivors = finite[: self._rules.kept(len(ranked))]
        cohort.bars[rung] = survivors[-1] if survivors else (-math.inf, "")
        if rung + 1 < len(self._rungs):
            cohort.members[rung + 1] = {name for _, name in survivors}
        for key in finite:
            trial = self._trials[key[1]]
            if trial.status == "waits":
                self._settle(trial, goes_on=key in survivors)
        for _, name in survivors:
            self._advance(self._trials[name])

    def _settle(self, trial: _Trial, *, goes_on: bool) -> None:
        trial.rung += goes_on
        trial.status = "goes_on" if goes_on else "stopped"
        self.changed.append(trial.arm.trial_id)


def _cohort(names: tuple[str, ...], rungs: int) -> _Cohort:
    members: list[set[str]] = [set(names), *(set() for _ in range(rungs - 1))] if rungs else []
    values: list[dict[str, float]] = [{} for _ in range(rungs)]
    keys: list[list[_Key]] = [[] for _ in range(rungs)]
    return _Cohort(members, values, [None] * rungs, keys)
