"""The document of the leak test: tables, and what follows from them."""

from __future__ import annotations

from handssl.augment.leak import LIMIT_R2
from handssl.bench.environment import describe

Rows = list[dict[str, object]]


def document(borders: Rows, ways: Rows, count: int) -> str:
    """Return leak.md."""
    return "\n".join([_head(count), *_border_table(borders), "", *_way_table(ways), ""])


def _head(count: int) -> str:
    return (
        "# What one view tells of its own theta\n\n"
        f"Written by `benchmarks/leak.py --markdown benchmarks/leak.md`; {count} views a case, "
        "half of them held out; crops of 192 px, views of 128 px.\n\n"
        f"{describe()}\n"
    )


def _border_table(rows: Rows) -> list[str]:
    lines = [
        "| situation | transformation | ranges | border | lost | constant | isotropic | noise |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        told = " | ".join(_told(row[name]) for name in ("constant", "isotropic", "noise"))
        words = " | ".join(str(row[k]) for k in ("situation", "transformation", "ranges", "border"))
        lines.append(f"| {words} | {100 * float(row['lost']):.1f} % | {told} |")  # type: ignore[arg-type]
    return lines


def _way_table(rows: Rows) -> list[str]:
    lines = [
        "| the turned view | noise | isotropic | sharp noise | detail left | us a view |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        told = " | ".join(_told([row[name]]) for name in ("noise", "isotropic", "sharp"))
        detail = float(row["fine"]) / float(rows[0]["fine"])  # type: ignore[arg-type]
        lines.append(f"| {row['way']} | {told} | {100 * detail:.0f} % | {row['us']:.0f} |")
    return lines


def _told(values: object) -> str:
    """Write R2s, those beyond the limit in bold."""
    assert isinstance(values, list)
    texts = (f"{max(value, 0.0):.2f}" for value in values)
    return " / ".join(
        f"**{text}**" if value >= LIMIT_R2 else text
        for text, value in zip(texts, values, strict=True)
    )
