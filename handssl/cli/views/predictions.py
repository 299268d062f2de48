"""Errors of a trial's hands and joints in the terminal and in files."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from handssl.data.sample import Split
from handssl.errors import DataError, InputError
from handssl.execution.trained.predictions import KeptPredictions, read_predictions
from handssl.pose.hand_errors import HandErrors

_PCK_AT = (10.0, 20.0, 30.0, 40.0, 50.0)


def read(
    trial: str, *, storage: Path | None, store: Path | None, split: Split, protocol: str
) -> tuple[KeptPredictions, HandErrors]:
    """Return the predictions of a trial, and their errors on a split under a protocol."""
    kept = read_predictions(trial, storage, store=store)
    return kept, kept.errors(split, protocol)


def document(kept: KeptPredictions, errors: HandErrors, split: Split, hands: int) -> dict[str, Any]:
    """Return a summary as JSON values.

    Args:
        kept: Predictions of the trial.
        errors: Errors of the split.
        split: The split.
        hands: Number of best and of worst hands to list.
    """
    unit, ranked, means = errors.protocol.unit, errors.ranked, errors.per_hand
    listed = {"best": ranked[:hands], "worst": ranked[::-1][:hands]}
    return {
        "trial_id": kept.record.trial_id,
        "cell": kept.record.cell,
        "seed": kept.record.block,
        "split": split,
        "protocol": errors.protocol.id,
        "unit": unit,
        "hands": len(errors.ids),
        "median": errors.statistic("median"),
        "mean": errors.statistic("mean"),
        "auc_50": errors.auc,
        "pck": dict(zip(map("{:g}".format, _PCK_AT), errors.pck(_PCK_AT).tolist(), strict=True)),
        "joints": dict(zip(errors.joints, map(_number, errors.per_joint), strict=True)),
        **{
            name: [{"id": int(errors.ids[i]), "mean": float(means[i])} for i in rows]
            for name, rows in listed.items()
        },
    }


def print_errors(found: dict[str, Any]) -> None:
    """Print a summary from `document`."""
    unit, console = found["unit"], Console(highlight=False)
    console.print(
        f"{found['cell']}, seed {found['seed']}: {found['hands']:,} hands of {found['split']}, "
        f"protocol {found['protocol']}\n"
        f"median {found['median']:.2f} {unit}, mean {found['mean']:.2f} {unit}, "
        f"AUC {found['auc_50']:.3f} (0 to 50 {unit})"
    )
    correct = ", ".join(f"{100 * share:.0f} % at {at} {unit}" for at, share in found["pck"].items())
    console.print(f"PCK: {correct}\n")
    table = Table("joint", box=None, header_style="bold", pad_edge=False)
    table.add_column(f"mean error, {unit}", justify="right")
    for name, value in found["joints"].items():
        table.add_row(name, "–" if value is None else f"{value:.1f}")
    console.print(table)
    for name in ("best", "worst"):
        rows = ", ".join(f"{one['id']} ({one['mean']:.1f} {unit})" for one in found[name])
        console.print(f"\n{name} hands by mean error: {rows}" if rows else "")


def write(kept: KeptPredictions, errors: HandErrors, split: Split, path: Path) -> None:
    """Write the errors of every hand and joint to a file.

    Args:
        kept: Predictions of the trial.
        errors: Errors of the split.
        split: The split.
        path: The file, with the ending .csv, .json or .npz.

    Raises:
        InputError: The ending is another one.
        DataError: The file cannot be written.
    """
    contents = {".csv": _csv, ".json": _json, ".npz": _npz}
    if path.suffix not in contents:
        raise InputError(f"--out: expected a file ending in .csv, .json or .npz, got {path.name}")
    content = contents[path.suffix](kept, errors, split)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None


def _csv(kept: KeptPredictions, errors: HandErrors, split: Split) -> bytes:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(("id", "group", *errors.joints))
    for name, group, row in zip(errors.ids, errors.groups, errors.errors, strict=True):
        lines.writerow((name, group, *("" if math.isnan(e) else f"{e:.4f}" for e in row)))
    return file.getvalue().encode()


def _json(kept: KeptPredictions, errors: HandErrors, split: Split) -> bytes:
    found = document(kept, errors, split, 0)
    head = {name: found[name] for name in ("trial_id", "cell", "seed", "split", "protocol", "unit")}
    rows = [[_number(value) for value in row] for row in errors.errors]
    body = {"joints": errors.joints, "ids": errors.ids.tolist(), "groups": errors.groups.tolist()}
    return json.dumps({**head, **body, "errors": rows}).encode()


def _npz(kept: KeptPredictions, errors: HandErrors, split: Split) -> bytes:
    file, one = io.BytesIO(), kept.of(split)
    np.savez_compressed(
        file,
        trial_id=np.array(kept.record.trial_id),
        split=np.array(split),
        protocol=np.array(errors.protocol.id),
        unit=np.array(errors.protocol.unit),
        joints=np.array(errors.joints),
        ids=errors.ids,
        groups=errors.groups,
        errors=errors.errors,
        uv=one.uv,
        z=one.z,
    )
    return file.getvalue()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 4)
