"""Table of the study `label-efficiency`: every arm at every share of the labels, with intervals.

handssl study run benchmarks/studies/label_efficiency.yaml --storage runs
python benchmarks/label_efficiency.py runs benchmarks/label_efficiency.md
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from handssl.bench.environment import describe
from handssl.ledger import Ledger
from handssl.stats.contrasts import mean_effect
from handssl.stats.verdict import judge
from handssl.study.cell import Cell
from handssl.study.stages import LabelEfficiencyStage, Selection
from handssl.study.study import Study

STUDY = "label-efficiency"
METRIC = "test_median_mm"
WORDS = {
    "scratch": "from scratch, end to end",
    "finetuned": "fine-tuned from the winner",
    "frozen": "ridge probe on the winner, frozen",
    "random": "ridge probe on the random encoder, frozen",
}
PAIRS = (("finetuned", "scratch"), ("finetuned", "frozen"), ("frozen", "random"))
Errors = dict[int, float]
_ANY = Cell()  # labels depend on the winner only by settings of its encoder, which none has
INTRODUCTION = """# Label efficiency

What a pretrained encoder is worth when labels are few, on procedural hands. In each of the blocks
all arms have the same labels, drawn with the block's seed, the same views and the same number of
updates; `select` is never reduced. Errors are median root-relative errors on `test` in mm: means
over blocks with their 95 % interval (Student's t). A verdict is on paired differences over blocks;
its interval holds for one comparison at a time. Procedural hands and a small network: the numbers
show what the study measures, not what holds on photographs.

```
handssl study run benchmarks/studies/label_efficiency.yaml --storage runs
python benchmarks/label_efficiency.py runs benchmarks/label_efficiency.md
```
"""


def main(storage: Path, output: Path) -> None:
    """Write the table of a finished study."""
    ledger = Ledger.existing(storage)
    study = Study.parse((ledger.studies.plan(STUDY) or {})["study"])
    (stage,) = (one for one in study.all_stages if isinstance(one, LabelEfficiencyStage))
    values = {cell: errors_of(ledger, cell) for cell in labels_of(stage).values()}
    tags = next(one.tags for one in ledger.all(STUDY) if one.cell in values)
    code = tags.get("code_digest", "unknown")
    lines = [INTRODUCTION, f"{describe()}; code {code}.", ""]
    lines += [*table(stage, values), "", *verdicts(stage, values)]
    output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def labels_of(stage: LabelEfficiencyStage) -> dict[tuple[float, str], str]:
    """Return the label of the cell of every share and arm."""
    before = {stage.after: Selection(stage=stage.after, best=_ANY)}
    keys = [(share, arm) for share in stage.labels for arm in stage.arms]
    return dict(zip(keys, (cell.label for cell in stage.cells(before)), strict=True))


def errors_of(ledger: Ledger, cell: str) -> Errors:
    """Return the errors on `test` of a cell by block."""
    found = [one for one in ledger.all(STUDY) if one.cell == cell and METRIC in one.metrics]
    return {one.block: one.metrics[METRIC] for one in found}


def table(stage: LabelEfficiencyStage, values: Mapping[str, Errors]) -> list[str]:
    """Return the errors by arm and share."""
    heads = [f"{share:.0%} of labels" for share in stage.labels]
    lines = [f"| arm | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    names = labels_of(stage)
    for arm in stage.arms:
        cells = [shown(values[names[share, arm]]) for share in stage.labels]
        lines.append(f"| {WORDS[arm]} | {' | '.join(cells)} |")
    return lines


def shown(errors: Errors) -> str:
    """Return a mean with its interval, and the error in each block."""
    if not errors:
        return "–"
    found = mean_effect("", list(errors.values()))
    each = " ".join(f"{mm:.1f}" for _, mm in sorted(errors.items()))
    ends = f" [{found.low:.1f}, {found.high:.1f}]" if len(errors) > 1 else ""
    return f"{found.mm:.1f}{ends}; {each}"


def verdicts(stage: LabelEfficiencyStage, values: Mapping[str, Errors]) -> list[str]:
    """Return the verdict of each pair of arms at each share."""
    names = labels_of(stage)
    heads = [f"{share:.0%}" for share in stage.labels]
    lines = [f"| compared | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for one, other in PAIRS:
        found = [
            judge(values[names[share, one]], values[names[share, other]]) for share in stage.labels
        ]
        cells = [
            f"{v.word} ({v.mm:+.1f} [{v.low:+.1f}, {v.high:+.1f}])" if v.seeds > 1 else "undecided"
            for v in found
        ]
        lines.append(f"| {WORDS[one]}, against {WORDS[other]} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
