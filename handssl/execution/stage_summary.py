"""Summary of a stage for MLflow: its cells over their seeds, its plan, its selection."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev

import yaml

from handssl.evaluation.metric_names import ALIGNED_METRIC, PRIMARY_METRIC
from handssl.execution.recorder import FINISHED
from handssl.execution.stage_outcomes import Records, compared_means, judged
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.pose.protocol_ids import protocols_of
from handssl.study.stages import Selection
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial
from handssl.tracking.stage_view import CellRow, StageView

_MEASURES = tuple(
    f"{split}{name}"
    for split in ("", "test_")
    for name in (PRIMARY_METRIC, ALIGNED_METRIC, "mpje_mm")
)
_OVER = (*FINISHED, "failed", "cancelled")
_PLAN = ("trial_id", "cell", "composition", "objective", "block", "epochs", "exempt", "kind")


def stage_view(
    study: Study,
    stage: str,
    trials: Sequence[PlannedTrial],
    ledger: Ledger,
    selection: Selection | None = None,
) -> StageView:
    """Return the summary of a stage; its parts read the ledger each time they are called.

    Args:
        study: The study.
        stage: Name of the stage.
        trials: Trials of the stage, whichever driver runs them.
        ledger: Ledger of the storage.
        selection: Selection of the stage; None while it is not over.
    """

    def rows() -> list[CellRow]:
        records = judged(study, stage, trials, ledger)
        # While trials are running, only the plain mean of those that are over is available.
        final = all(_is_over(records.get(trial.trial_id)) for trial in trials)
        means = compared_means(study, stage, trials, records) if final else {}
        return cell_rows(study.name, trials, records, means)

    return StageView(stage, rows, lambda: _files(study, trials, ledger, selection))


def cell_rows(
    study: str, trials: Iterable[PlannedTrial], records: Records, means: Mapping[str, float]
) -> list[CellRow]:
    """Return a row for each cell that has a trial that is over.

    Args:
        study: Name of the study; trials that other studies ran are counted as reused.
        trials: Trials of the stage.
        records: Their records, with the outcomes that they have in this stage.
        means: Mean of the primary measure that the stage's selection compares in mm, by cell,
            adjusted for blocks in which a cell was stopped; empty while the stage is not over.
    """
    cells: dict[str, list[PlannedTrial]] = {}
    for trial in trials:
        cells.setdefault(trial.cell, []).append(trial)
    rows = []
    for label, own in cells.items():
        found = [records[trial.trial_id] for trial in own if trial.trial_id in records]
        over = [record for record in found if _is_over(record)]
        if over:
            metrics = _metrics(over, len(own))
            adjusted = {PRIMARY_METRIC: means[label]} if label in means else {}
            rows.append(CellRow(label, _tags(study, own[0], over), metrics | adjusted))
    return rows


def _is_over(record: TrialRecord | None) -> bool:
    return record is not None and record.outcome in _OVER


def _metrics(over: Sequence[TrialRecord], planned: int) -> dict[str, float]:
    completed = [record.metrics for record in over if record.outcome == "completed"]
    found = {
        "blocks_completed": float(len(completed)),
        "blocks_planned": float(planned),
        "epoch": fmean(record.epoch for record in over),
    }
    for name in _MEASURES:
        values = [metrics[name] for metrics in completed if name in metrics]
        if values:
            found[name] = fmean(values)
    primary = [metrics[PRIMARY_METRIC] for metrics in completed if PRIMARY_METRIC in metrics]
    if primary:
        found |= {f"{PRIMARY_METRIC}_min": min(primary), f"{PRIMARY_METRIC}_max": max(primary)}
    if len(primary) > 1:
        found[f"{PRIMARY_METRIC}_sd"] = stdev(primary)
    return found


def _tags(study: str, trial: PlannedTrial, over: Sequence[TrialRecord]) -> dict[str, str]:
    counts = Counter(record.outcome for record in over)
    reused = sum(record.study != study for record in over)
    return {
        "composition": trial.composition,
        "objective": trial.objective,
        "blocks": ",".join(str(record.block) for record in over),
        "outcomes": ", ".join(f"{counts[name]} {name}" for name in sorted(counts)),
        "reused": str(reused),
        "protocol": ", ".join(protocols_of(record.tags for record in over)),
    }


def _files(
    study: Study, trials: Sequence[PlannedTrial], ledger: Ledger, selection: Selection | None
) -> dict[str, str]:
    values = study.model_dump(mode="json")
    plan = [[getattr(trial, name) for name in _PLAN] for trial in trials]
    files = {
        "study.yaml": yaml.safe_dump(values, sort_keys=False),
        "trials.csv": _csv([_PLAN, *plan]),
    }
    if preregistration := ledger.studies.plan(study.name):
        files["plan.json"] = json.dumps(preregistration, indent=1, sort_keys=True)
    if selection is not None:
        files["selection.json"] = selection.model_dump_json(indent=1)
        files["curves.csv"] = _curves(trials, ledger)
    return files


def _curves(trials: Sequence[PlannedTrial], ledger: Ledger) -> str:
    histories = ledger.histories([trial.trial_id for trial in trials], (PRIMARY_METRIC,))
    rows: list[Sequence[object]] = [("trial_id", "cell", "block", "epoch", PRIMARY_METRIC)]
    for trial in trials:
        for entry in histories.get(trial.trial_id, []):
            value = entry.metrics.get(PRIMARY_METRIC)
            rows.append([trial.trial_id, trial.cell, trial.block, entry.epoch, value])
    return _csv(rows)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
