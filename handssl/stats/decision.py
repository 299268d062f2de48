"""Decision between the two arms of each transformation: one of them, equivalent, or undecided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from handssl.stats.contrasts import LEVEL
from handssl.stats.holm import holm
from handssl.stats.paired import Errors, PairedDifference, paired_difference, two_sided

ALPHA = 1.0 - LEVEL
EQUIVALENT, UNDECIDED = "equivalent", "undecided"


@dataclass(frozen=True)
class Pair:
    """Errors of the two arms of a transformation.

    Attributes:
        first: Name of an arm, e.g. `relative`.
        second: Name of the other, e.g. `contrastive`.
        errors: Errors of the first.
        others: Errors of the second.
        noise_mm: Difference that rounding alone makes, see `handssl.stats.spread.undecided_below`.
    """

    first: str
    second: str
    errors: Errors
    others: Errors
    noise_mm: float = 0.0


@dataclass(frozen=True)
class Decision:
    """Decision between two arms, with its numbers; None where there are none.

    Attributes:
        word: Name of the better arm, `equivalent` or `undecided`.
        first: Name of an arm.
        second: Name of the other.
        mm: Mean difference first - second in mm.
        low: Lower end of its 95 % interval in mm.
        high: Upper end in mm.
        p: Two-sided p of the paired t-test.
        p_holm: The same, adjusted for all transformations of the stage.
        p_moderated: As `p_holm`, with moderated variances; it decides nothing.
        p_equivalent: p of two one-sided tests against the margin, adjusted likewise.
        correlation: Correlation of the arms over seeds.
        sd_mm: Standard deviation of the differences over seeds in mm.
        seeds: Number of seeds that have both arms.
        diverged: Number of those in which an arm diverged.
        margin_mm: Margin of equivalence in mm; 0: none.
        noise_mm: Difference that rounding alone makes in mm; 0 if unknown.
        settled_by: Number of seeds that would decide with 80 % power, if the difference and its
            standard deviation are those observed; at most `power.MOST_SEEDS`.
    """

    word: str
    first: str
    second: str
    mm: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_moderated: float | None = None
    p_equivalent: float | None = None
    correlation: float | None = None
    sd_mm: float | None = None
    seeds: int = 0
    diverged: int = 0
    margin_mm: float = 0.0
    noise_mm: float = 0.0
    settled_by: int | None = None

    @property
    def is_decided(self) -> bool:
        """Whether one of the arms is better."""
        return self.word in (self.first, self.second)

    @property
    def reason(self) -> str:
        """The numbers behind the word, or why there are none."""
        if self.seeds == 0:
            return "no seed has both arms"
        if self.diverged:
            return f"diverged in {self.diverged} of {self.seeds} seeds"
        if self.low is None or self.high is None or self.p_holm is None:
            return f"{self.first} {self.mm:+.1f} mm, one seed"
        interval = f"{self.low:+.1f} to {self.high:+.1f}"
        return (
            f"{self.first} {self.mm:+.1f} mm, {interval}, {self._test}, {self.seeds} seeds"
            f"{self._noise}{self._settled}"
        )

    @property
    def _test(self) -> str:
        if self.word == EQUIVALENT and self.p_equivalent is not None:
            return f"within {self.margin_mm:g} mm, Holm p {p_in_words(self.p_equivalent)}"
        return f"Holm p {p_in_words(self.p_holm or 0.0)}"

    @property
    def _noise(self) -> str:
        within = self.mm is not None and abs(self.mm) < self.noise_mm
        return f", within the noise of rounding ({self.noise_mm:.1f} mm)" if within else ""

    @property
    def _settled(self) -> str:
        if self.settled_by is None:
            return ""
        from handssl.stats.power import MOST_SEEDS

        if self.settled_by >= MOST_SEEDS:
            return f"; {MOST_SEEDS:,} seeds would not settle it"
        return f"; about {self.settled_by} seeds would settle it"

    def __str__(self) -> str:
        """Return the word with its reason."""
        return f"{self.word} ({self.reason})"


def decide(pairs: Mapping[str, Pair], *, margin_mm: float = 0.0) -> dict[str, Decision]:
    """Decide between the arms of each transformation; the decisions hold together.

    An arm is better if Student's paired t-test of the difference over seeds is significant at 5 %
    after Holm's adjustment over all pairs. The arms are equivalent if two one-sided tests, adjusted
    in the same way, show that the difference lies within the margin; a difference that is both is
    equivalent, since the margin is the least that counts. Everything else is undecided: one seed, a
    diverged trial, a difference within the noise of rounding, a margin below it.

    Pairs without a test count in the adjustment, so the family is the planned one.

    Args:
        pairs: The two arms by transformation.
        margin_mm: Margin of equivalence in mm, stated before the first result; 0: none.

    Returns:
        Decisions by transformation.

    Example:
        >>> arms = Pair("relative", "contrastive", {1: 60.0, 2: 61.0}, {1: 70.0, 2: 71.5})
        >>> str(decide({"rotate": arms}, margin_mm=1.0)["rotate"])
        'relative (relative -10.2 mm, -13.4 to -7.1, Holm p .016, 2 seeds)'

    Reference:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics 1979; D. Schuirmann 1987 for the two one-sided tests.
    """
    found = {name: paired_difference(pair.errors, pair.others) for name, pair in pairs.items()}
    differ = _holm([one.p for one in found.values()])
    equal = _holm([_equivalence_p(one, margin_mm) for one in found.values()])
    moderated = _holm(_moderated(list(found.values())))
    tests = zip(pairs.items(), found.values(), differ, equal, moderated, strict=True)
    return {
        name: _decision(pair, one, (p, q, m), margin_mm, len(pairs))
        for (name, pair), one, p, q, m in tests
    }


def sensitivity(decisions: Mapping[str, Decision]) -> tuple[str, ...]:
    """Return a sentence on what moderated variances would say, which decides nothing.

    Args:
        decisions: Decisions by transformation.
    """
    found = {n: d.p_moderated for n, d in decisions.items() if d.p_moderated is not None}
    listed = ", ".join(f"{name} {p_in_words(p)}" for name, p in found.items())
    text = f"sensitivity: Holm p with the variances moderated, {listed}; it decides nothing"
    return (text,) if found else ()


def p_in_words(p: float) -> str:
    """Return a p to two digits, without the zero before the point.

    Example:
        >>> [p_in_words(p) for p in (0.15, 0.0394, 0.0002, 1.0)]
        ['.15', '.039', '<.001', '1']
    """
    if p < 0.001:
        return "<.001"
    return f"{p:.{2 if p >= 0.1 else 3}f}".lstrip("0") if p < 0.995 else "1"


def _decision(
    pair: Pair,
    found: PairedDifference,
    tests: tuple[float, float, float],
    margin_mm: float,
    family: int,
) -> Decision:
    differ, equal, moderated = tests
    decision = Decision(
        UNDECIDED,
        pair.first,
        pair.second,
        mm=_known(found.mm),
        low=_known(found.low),
        high=_known(found.high),
        p=_known(found.p),
        correlation=_known(found.correlation),
        sd_mm=_known(found.sd_mm),
        seeds=found.seeds,
        diverged=found.diverged,
        margin_mm=margin_mm,
        noise_mm=pair.noise_mm,
    )
    if math.isnan(found.p):
        return decision
    decision = replace(
        decision,
        p_holm=differ,
        p_moderated=_known(moderated),
        p_equivalent=equal if margin_mm else None,
    )
    word = _word(decision)
    return replace(decision, word=word, settled_by=_settled(decision, family, word))


def _word(one: Decision) -> str:
    mm, differ, equal = one.mm or 0.0, one.p_holm, one.p_equivalent
    if equal is not None and equal < ALPHA and one.noise_mm <= one.margin_mm:
        return EQUIVALENT
    if differ is not None and differ < ALPHA and abs(mm) >= one.noise_mm:
        return one.first if mm < 0 else one.second
    return UNDECIDED


def _settled(one: Decision, family: int, word: str) -> int | None:
    if word != UNDECIDED:
        return None
    from handssl.stats.power import MOST_SEEDS, seeds_to_settle

    mm, alpha = one.mm or 0.0, ALPHA / family  # Holm's level for the smallest p
    count = seeds_to_settle(mm, one.sd_mm or 0.0, margin_mm=one.margin_mm, alpha=alpha)
    # The noise of rounding falls with the root of the number of seeds.
    noise = one.seeds * (one.noise_mm / max(abs(mm), 1e-9)) ** 2
    return min(max(count, one.seeds + 1, math.ceil(noise)), MOST_SEEDS)


def _equivalence_p(found: PairedDifference, margin_mm: float) -> float:
    """Return the greater p of the two one-sided t-tests of -margin < difference < margin."""
    if not margin_mm or math.isnan(found.p):
        return math.nan
    error, room = found.sd_mm / math.sqrt(found.seeds), margin_mm - abs(found.mm)
    half = two_sided(room, error, found.seeds - 1) / 2
    return half if room > 0 else 1.0 - half


def _moderated(found: Sequence[PairedDifference]) -> list[float]:
    """Return p with the variance of each difference drawn towards that of all."""
    tested = [one for one in found if not math.isnan(one.p)]
    if len(tested) < 2:
        return [math.nan] * len(found)
    from handssl.stats.moderation import moderated, variance_prior

    prior = variance_prior([one.sd_mm**2 for one in tested], [one.seeds - 1 for one in tested])

    def p(one: PairedDifference) -> float:
        if math.isnan(one.p):
            return math.nan
        variance, freedom = moderated(one.sd_mm**2, one.seeds - 1, prior)
        return two_sided(one.mm, math.sqrt(variance / one.seeds), freedom)

    return [p(one) for one in found]


def _holm(found: Sequence[float]) -> list[float]:
    """Return p adjusted by Holm; a missing one counts as 1 and stays missing."""
    adjusted = holm([1.0 if math.isnan(p) else p for p in found])
    return [math.nan if math.isnan(p) else a for p, a in zip(found, adjusted, strict=True)]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
