"""Tables of the study `validity`: rows that need no encoder, rival objectives, forms of `mixed`.

handssl study run validity --storage runs
python benchmarks/validity.py runs benchmarks/validity.md
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from handssl.bench.environment import describe
from handssl.bench.mixed import gradient_cosine, joined_metrics
from handssl.cli.views.terminal import OnProgress, progress_bar
from handssl.data.preparation import prepared
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.stats.contrasts import mean_effect
from handssl.stats.decision import Pair, decide
from handssl.stats.verdict import judge
from handssl.study.study import Study
from tune_spaces.validity import RIVALS, TOGETHER

ROOT, ALIGNED = "test_median_mm", "test_aligned_median_mm"
WIDTHS = {"same width, PCA": "", "half width": " encoder.width=8"}
YARDSTICKS = ("HOG ridge", "true-angle oracle")
MIXED = f"mixed {TOGETHER} (rotate+translate)"
INTRODUCTION = Path(__file__).with_name("validity_text.md")


@dataclass(frozen=True)
class Table:
    """Values of a study's cells, by cell and block.

    Attributes:
        study: The study.
        storage: Its storage.
        records: Its finished trials and references.
        on_measured: Called after each measurement on trained encoders with (done, total).
    """

    study: Study
    storage: Path
    records: Sequence[TrialRecord]
    on_measured: OnProgress = lambda done, total: None
    measured: list[str] = field(default_factory=list)

    def of(self, cell: str) -> dict[int, TrialRecord]:
        """Return the records of a cell by block."""
        return {one.block: one for one in self.records if one.cell == cell}

    def values(self, cell: str, metric: str) -> dict[int, float]:
        """Return a metric of a cell by block."""
        found = self.of(cell).items()
        return {block: one.metrics[metric] for block, one in found if metric in one.metrics}

    @property
    def forms(self) -> tuple[str, ...]:
        """Return the forms of `mixed`."""
        cells = dict.fromkeys(one.cell for one in self.records)
        return tuple(cell for cell in cells if cell.startswith(MIXED))

    def measure(self, what: str) -> None:
        """Note that a measurement of `measurements` is done."""
        self.measured.append(what)
        self.on_measured(len(self.measured), self.measurements)

    @property
    def measurements(self) -> int:
        """Return how many trials have a cosine, and how many pairs of encoders are joined."""
        cosines = sum(map(has_cosine, (r for cell in self.forms for r in self.of(cell).values())))
        return cosines + sum(len(joined_blocks(self, settings)) for settings in WIDTHS.values())

    def folder(self, record: TrialRecord) -> Path:
        """Return the folder of a trial."""
        return self.storage / "trials" / record.trial_id


def shown(values: Sequence[float], digits: int = 1) -> str:
    """Return a mean with its interval, as far as there is one."""
    if not values:
        return "–"
    found = mean_effect("", values)
    ends = f" [{found.low:.{digits}f}, {found.high:.{digits}f}]" if len(values) > 1 else ""
    return f"{found.mm:.{digits}f}{ends}"


def compared(values: Mapping[int, float], others: Mapping[int, float]) -> str:
    """Return the verdict on the errors of a cell against those of another."""
    verdict = judge(values, others)
    ends = f" [{verdict.low:+.1f}, {verdict.high:+.1f}]" if verdict.seeds > 1 else ""
    return f"{verdict.word} ({verdict.mm:+.1f}{ends})" if verdict.seeds else "–"


def rows(table: Table) -> list[str]:
    """Return the table of all rows, by their error on `test`."""
    cells = dict.fromkeys(one.cell for one in table.records)
    order = sorted(cells, key=lambda cell: np.mean(list(table.values(cell, ROOT).values())))
    lines = [
        "| row | root-relative | in blocks | Procrustes-aligned | against HOG | against angle |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for cell in order:
        root = list(table.values(cell, ROOT).values())
        aligned = list(table.values(cell, ALIGNED).values())
        each = " ".join(f"{value:.1f}" for value in root)
        against = [_against(table, cell, yardstick) for yardstick in YARDSTICKS]
        lines.append(
            f"| {cell} | {shown(root)} | {each} | {shown(aligned)} | {' | '.join(against)} |"
        )
    return lines


def _against(table: Table, cell: str, yardstick: str) -> str:
    fixed = list(table.values(yardstick, ROOT).values())
    values = table.values(cell, ROOT)
    if len(values) < 2 or not fixed:
        return "–"
    return compared(values, dict.fromkeys(values, fixed[0]))


def rivals(table: Table) -> list[str]:
    """Return the decision between the objectives for each transformation, by both alignments."""
    lines = ["| transformation | root-relative | Procrustes-aligned |", "| --- | --- | --- |"]
    decided = [decide(_pairs(table, metric)) for metric in (ROOT, ALIGNED)]
    for name in (*RIVALS, TOGETHER):
        lines.append(f"| {name} | {' | '.join(str(one[name]) for one in decided)} |")
    return lines


def _pairs(table: Table, metric: str) -> dict[str, Pair]:
    return {
        name: Pair(
            "relative",
            "contrastive",
            table.values(f"relative {name}", metric),
            table.values(f"contrastive {name}", metric),
        )
        for name in (*RIVALS, TOGETHER)
    }


def mixed(table: Table) -> list[str]:
    """Return the forms of `mixed` beside single objectives and joined features."""
    lines = [
        "| row | updates | sigma | gradient cosine | root-relative | against mixed (joint) |",
        "| --- | --: | --- | --- | --- | --- |",
    ]
    singles = [f"{objective} {TOGETHER}" for objective in ("contrastive", "relative")]
    for cell in (*table.forms, *singles):
        found = list(table.of(cell).values())
        cells = [_updates(found), _sigmas(found), _cosine(table, found)]
        cells += [shown(list(table.values(cell, ROOT).values())), _than_joint(table, cell)]
        lines.append(f"| {cell} | {' | '.join(cells)} |")
    for name, settings in WIDTHS.items():
        joined = _joined(table, settings)
        text = compared(joined, table.values(MIXED, ROOT))
        row = f"contrastive and relative joined, {name}, half of the updates each"
        lines.append(f"| {row} | – | – | – | {shown(list(joined.values()))} | {text} |")
    return lines


def heads(table: Table) -> list[str]:
    """Return R2 of the relative heads on pairs of views of one image and of different images."""
    lines = ["| row | head of | one image | different images |", "| --- | --- | --- | --- |"]
    cells = dict.fromkeys(one.cell for one in table.records if one.objective == "relative")
    for cell in cells:
        for name in RIVALS:
            found = [
                list(table.values(cell, f"diag/{which}/{name}").values())
                for which in ("head_r2", "leak")
            ]
            if all(found):
                lines.append(f"| {cell} | {name} | {' | '.join(shown(v, 2) for v in found)} |")
    return lines


def _updates(records: Sequence[TrialRecord]) -> str:
    counts = {
        round(r.metrics["train/encoder_views"] / r.metrics["train/views_per_step"]) for r in records
    }
    return "/".join(map(str, sorted(counts)))


def _sigmas(records: Sequence[TrialRecord]) -> str:
    names = sorted({n for r in records for n in r.metrics if n.startswith("train/sigma/")})
    means = {n: np.mean([r.metrics[n] for r in records]) for n in names}
    return ", ".join(f"{n.rsplit('/')[-1]} {value:.2f}" for n, value in means.items()) or "–"


def has_cosine(record: TrialRecord) -> bool:
    """Return whether both terms of a trial have trained weights."""
    return "train/sigma/contrastive" in record.metrics


def _cosine(table: Table, records: Sequence[TrialRecord]) -> str:
    trained, found = [*filter(has_cosine, records)], []
    data = prepared(table.study.data, table.storage) if trained else None
    for record in trained:
        assert data is not None
        found.append(gradient_cosine(table.folder(record), data))
        table.measure(f"cosine of {record.trial_id}")
    return shown(found)


def _than_joint(table: Table, cell: str) -> str:
    if cell == MIXED:
        return "–"
    return compared(table.values(cell, ROOT), table.values(MIXED, ROOT))


def joined_blocks(table: Table, settings: str) -> dict[int, tuple[TrialRecord, TrialRecord]]:
    """Return the contrastive and the relative encoder of half of the updates by block."""
    half = table.study.pretrain.epochs // 2
    named = [f"{o} {TOGETHER}{settings} epochs={half}" for o in ("contrastive", "relative")]
    first, second = (table.of(cell) for cell in named)
    return {block: (first[block], second[block]) for block in sorted(first.keys() & second.keys())}


def _joined(table: Table, settings: str) -> dict[int, float]:
    """Return the error of the joined features of two encoders by block."""
    data = prepared(table.study.data, table.storage)
    assert data is not None
    dim, found = 8 * table.study.pretrain.encoder.width, {}
    for block, pair in joined_blocks(table, settings).items():
        found[block] = joined_metrics([*map(table.folder, pair)], data, dim=dim)[ROOT]
        table.measure(f"joined{settings}, block {block}")
    return found


def main(storage: str, target: str, study: str = "validity-order") -> int:
    """Write the tables of a finished study."""
    ledger = Ledger.existing(Path(storage))
    plan = ledger.studies.plan(study)
    if plan is None:
        sys.exit(f"{storage}: expected the study {study}; handssl study run validity first")
    records = [one for one in ledger.all(study) if one.outcome == "completed"]
    with progress_bar("measuring encoders") as on_measured:
        text = page(Table(Study.parse(plan["study"]), Path(storage), records, on_measured))
    Path(target).write_text(text, encoding="utf-8")
    return 0


def page(table: Table) -> str:
    """Return the whole page."""
    blocks = ", ".join(map(str, table.study.blocks))
    parts = [
        INTRODUCTION.read_text(encoding="utf-8").rstrip(),
        f"{describe()}; blocks {blocks}; errors on `test` in mm, medians, means over blocks with "
        "95 % t intervals over seeds.",
        "## All rows",
        "\n".join(rows(table)),
        "## Rival objectives, paired by block",
        "Holm's p is for the four transformations together. Intervals of the other tables are of "
        "each comparison alone.",
        "\n".join(rivals(table)),
        "## Relative heads: do they compare hands?",
        "R2 at the last epoch. Content alone cannot tell the relative transformation of two "
        "different images: a head that still predicts it there reads each view by itself, from "
        "a trace of resampling for example. At 0 or below it compares the two views.",
        "\n".join(heads(table)),
        "## Forms of `mixed`",
        "\n".join(mixed(table)),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
