"""The document of the leak test: tables, and what follows from them."""

from __future__ import annotations

import math

from handssl.bench.environment import describe
from handssl.transforms.leakage import LIMIT_R2

Rows = list[dict[str, object]]


def document(borders: Rows, ways: Rows, count: int) -> str:
    """Return leak.md."""
    head = _HEAD.format(count=count, environment=describe())
    return "\n".join([head, *_border_table(borders), _BETWEEN, *_way_table(ways), _END])


_HEAD = """# What one view tells of its own theta

Written by `benchmarks/leak.py --markdown benchmarks/leak.md`; {count} views a case, half of them
held out; crops of 192 px, views of 128 px.

{environment}

R2 of a ridge read-out of theta, or of theta folded at the middle of its range, from one view of
images without cues (`handssl.transforms.leakage`); bold from 0.05 on. Two numbers: from 16 x 16
pixels / from the structure of the view at 32 x 32. *Lost* is the share of a view that shows no
source.

*Inside*: stored crop of 1.75 box sides. *Leaving*: 1.25 box sides. *Ended early*: the source covers
70 % of the crop, packing mirrored the rest. Ranges: default +-45 degrees and +-0.15 box sides, wide
+-180 degrees and +-0.3 box sides.
"""

_BETWEEN = """
Scale is told by structure (0.3 to 0.5) under every border alike: the images are equally sharp and
equally large in grain, so enlarging shows. No border mends that; pixels alone tell nothing. For the
rest, inside the crop no border tells anything, and `reflect` loses nothing where `disc` loses 21 %:
**`reflect` stays the default.** It fails in two places, both seen in structure alone, which means
mirrored halves. Views that leave the crop far enough (translation of +-0.3 in a crop of 1.25, a
tenth of the view mirrored): training refuses such compositions before it starts. Sources that ended
early (rotation, a seventh of the view mirrored): the border of the view has no part in it, the
mirror lies in the store; `black` shows the same pixels. `disc` leaves less of the mirrored strip
(8 % of the view) and passes: with many crops whose `outside` is large, train with `disc`, or leave
those crops out. `black` fails wherever a view leaves the crop. A read-out finds less than there is,
the less the fewer views it is fitted on: a number beyond the limit proves a leak, one below does
not prove that there is none.

## Resampling

Rotation within +-45 degrees, inside the crop, border `reflect`; statistics at full resolution.
*Noise*: independent source pixels after the packing warp. *Isotropic*: soft by 1 px, no noise but
the rounding to bytes. *Sharp*: independent crop pixels. *Detail left*: root mean square of
differences of neighbours in isotropic images, relative to the first row. Times are of one grey
view on one thread of a machine that others used too; they rank, no more.
"""

_END = """
Bilinear interpolation tells the angle, or how far from zero it is, nearly exactly, with crops cut
at fractions of a pixel and at whole pixels alike: it softens fine structure in fringes whose period
and direction follow the map. Translation is not told (the tests
check it): a shift has one phase in all of a view. Better interpolation does not help, nor does a
blur of the crop, after which the rounding to bytes is the noise. What helps takes away the
frequencies in which the fringes are: a blur of the view by 1.25 px, for a quarter of the fine
detail; by 1 px with noise of 4 of 255; or a view of half as many pixels a side, averaged over
areas. The statistics are made for this and are blind to strength: they show what is there to be
used, not that an encoder uses it. They do not tell the two packings apart, though training did
(crops cut at whole pixels gave the worse features), so strength matters too.
Recommended: keep the pipeline, and compare downstream errors of relative rotation with a view
blurred by 1.25 px, as an ablation, before any default changes.
"""


def _border_table(rows: Rows) -> list[str]:
    lines = [
        "| situation | transformation | ranges | border | lost | constant | isotropic | noise |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        told = " | ".join(_told(row[name]) for name in ("constant", "isotropic", "noise"))
        words = " | ".join(str(row[k]) for k in ("situation", "transformation", "ranges", "border"))
        lines.append(f"| {words} | {100 * float(row['lost']):.1f} % | {told} |")
    return lines


def _way_table(rows: Rows) -> list[str]:
    lines = [
        "| the turned view | noise | isotropic | sharp noise | detail left | us a view |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        told = " | ".join(_told([row[name]]) for name in ("noise", "isotropic", "sharp"))
        detail = float(row["fine"]) / float(rows[0]["fine"])
        left = "–" if math.isnan(detail) else f"{100 * detail:.0f} %"
        lines.append(f"| {row['way']} | {told} | {left} | {row['us']:.0f} |")
    return lines


def _told(values: object) -> str:
    """Write R2s, those beyond the limit in bold."""
    assert isinstance(values, list)
    texts = (f"{max(value, 0.0):.2f}" for value in values)
    return " / ".join(
        f"**{text}**" if value >= LIMIT_R2 else text
        for text, value in zip(texts, values, strict=True)
    )
