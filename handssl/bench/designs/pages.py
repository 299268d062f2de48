"""The named designs as a Markdown page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from handssl.bench.designs.named import NamedDesign
from handssl.bench.designs.rows import Coverage, Row, Share
from handssl.bench.designs.slopes import SlopeRow
from handssl.bench.designs.worlds import MEANINGS, NOISE_MM, SEEDS_MM
from handssl.bench.environment import describe
from handssl.planning.promise import Power


def text(rows: Sequence[Row], slopes: Sequence[SlopeRow], source: str) -> str:
    """Return the results as a Markdown page.

    Args:
        rows: Results of the named designs.
        slopes: Errors of effects in every world.
        source: Description of the studies.
    """
    lines = ["# Named designs: what reports and plans say, and what is true", ""]
    lines += [f"{describe()}.", "", source, "", _WORLDS, ""]
    lines += [f"- {name}: {meaning}" for name, meaning in MEANINGS.items()]
    parts = (_designs, _intervals, _families, _winners, _errors, _power)
    for part in parts:
        lines += ["", *part(rows)]
    return "\n".join([*lines, "", *_slopes(slopes), ""])


_WORLDS = (
    f"Unless a world says otherwise, noise of a cell has a standard deviation of {NOISE_MM} mm and "
    f"a main effect one of {SEEDS_MM} mm over seeds, as recorded, and early values have the "
    "recorded correlations with the last. A world's true effects are the same in all studies; "
    "seeds, noise and the skeletons that the stage's seed deals differ. Means over studies +- half "
    "of a 95 % Monte-Carlo interval."
)


def _table(title: str, note: str, head: str, rows: Iterable[Sequence[str]]) -> list[str]:
    columns = head.split("|")
    align = "|".join("---" if i == 0 else "---:" for i in range(len(columns)))
    body = ["| " + " | ".join(row) + " |" for row in rows]
    return [
        f"## {title}",
        "",
        note,
        "",
        f"| {' | '.join(c.strip() for c in columns)} |",
        f"|{align}|",
        *body,
    ]


def _designs(rows: Sequence[Row]) -> list[str]:
    return _table(
        "The designs",
        "",
        "name | design | blocks | transformations | world | studies | without effects",
        (
            [
                own.named.name,
                own.named.described,
                str(own.named.design.blocks),
                str(own.named.k),
                own.named.world,
                f"{own.studies:,}",
                str(own.lost),
            ]
            for own in rows
        ),
    )


def _intervals(rows: Sequence[Row]) -> list[str]:
    return _table(
        "Intervals of main effects",
        "Wanted: 93 to 98 % on average. For these seeds where cells are missing or stopped.",
        "name | reading | estimator | covered (95 %) | worst effect | median width, mm",
        (_coverage(row.named, one) for row in rows for one in row.coverage),
    )


def _coverage(named: NamedDesign, one: Coverage) -> list[str]:
    width = f"{one.width_mm:.2f}"
    return [named.name, one.reading, one.estimator, percent(one.mean), f"{one.worst:.1%}", width]


def _families(rows: Sequence[Row]) -> list[str]:
    return _table(
        "Errors in families",
        "Share of studies in which an effect is found, in the same world without main effects and "
        "pairs. Wanted: at most 5 % with Holm's p-values.",
        "name | main effects, Holm | main effects, each alone | pairs, Holm | pairs, each alone",
        (
            [
                row.named.name,
                *(percent(one) for one in (own.main, own.main_plain, own.pairs, own.pairs_plain)),
            ]
            for row in rows
            for own in (row.families,)
        ),
    )


def _winners(rows: Sequence[Row]) -> list[str]:
    return _table(
        "Winners",
        "Wanted: the set has the best of the compared cells in 95 % of studies, and the confirmed "
        "error is within 0.1 mm of the true one. Trivial competitors: the winner alone as the set, "
        "and the mean with which it was selected.",
        "name | set has the best | winner is the best | best not compared | cells in the set | "
        "compared | regret, mm | confirmed - true error, mm | selected - true error, mm",
        (
            [
                row.named.name,
                percent(own.near),
                percent(own.is_best),
                percent(own.stopped),
                _count(own.size),
                _count(own.compared),
                _mm(own.regret_mm),
                _mm(own.confirmed_mm),
                _mm(own.selected_mm),
            ]
            for row in rows
            for own in (row.winners,)
        ),
    )


def _errors(rows: Sequence[Row]) -> list[str]:
    names = ("report", "skeleton alone", "GREG")
    return _table(
        "Errors of main effects, these seeds",
        "Root mean square over studies and effects, mm; GREG: the plain regression estimator with "
        "one slope over blocks. Wanted under halving: at most 1.10 times the better competitor.",
        "name | report | skeleton alone | GREG",
        (
            [
                row.named.name,
                *(f"{row.error_mm[n]:.3f}" if n in row.error_mm else "" for n in names),
            ]
            for row in rows
        ),
    )


def _power(rows: Sequence[Row]) -> list[str]:
    return _table(
        "Promised power",
        "For a main effect of which `study plan` promises to find about 70 % for seeds in general. "
        "Wanted: given the true variances within 4 points of the simulated power; from whole grids "
        "in three blocks, an interval that contains it in 95 % of such pilots.",
        "name | effect, mm | promised | simulated | difference | pilots whose interval holds | "
        "its median width",
        (
            [
                row.named.name,
                f"{own.effect_mm:.2f}",
                f"{own.given.share:.1%}",
                f"{own.simulated.share:.1%}",
                points(own.given, own.simulated),
                f"{own.held:.0%} of {own.pilots}",
                f"{own.width:.0%}",
            ]
            for row in rows
            for own in (row.power,)
        ),
    )


def points(promised: Power, simulated: Power) -> str:
    """Return a difference of two powers in points with half of its Monte-Carlo interval."""
    half = math.hypot(*((one.high - one.low) / 2 for one in (promised, simulated)))
    return f"{100 * (promised.share - simulated.share):+.1f} +- {100 * half:.1f}"


def _slopes(rows: Sequence[SlopeRow]) -> list[str]:
    return _table(
        "Errors of main effects under halving in every world",
        "As above. Wanted: a ratio of at most 1.10 to the better competitor.",
        "world | k | skeleton | blocks | first rung | report | skeleton alone | GREG | ratio",
        (
            [
                row.named.world,
                str(row.named.k),
                str(row.named.design.cells),
                str(row.named.design.blocks),
                str(row.named.grace_epochs),
                f"{row.own_mm:.3f}",
                f"{row.alone_mm:.3f}",
                f"{row.greg_mm:.3f}",
                f"{row.ratio:.2f} +- {row.half:.2f}",
            ]
            for row in rows
        ),
    )


def percent(one: Share) -> str:
    """Return a share with half of its Monte-Carlo interval; a dash without one."""
    return "–" if math.isnan(one.value) else f"{one.value:.1%} +- {one.half:.1%}"


def _mm(one: Share) -> str:
    return f"{one.value:+.2f} +- {one.half:.2f}"


def _count(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f}"
