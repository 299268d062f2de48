"""Probing of a finished trial in the terminal: fit, print errors, export predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from handssl.data.sample import Split
from handssl.data.splits import StudyData
from handssl.data.store import PackedSplit
from handssl.data.stores import named_store
from handssl.errors import InputError
from handssl.evaluation.config import ProbeConfig, probe_id
from handssl.evaluation.feature_cache import FeatureCache
from handssl.evaluation.freihand_export import (
    OFFICIAL_COUNT,
    freihand_predictions,
    write_freihand_predictions,
)
from handssl.evaluation.kept_probe import KeptProbe
from handssl.evaluation.probe import (
    crop_pixels,
    default_probe,
    fit_probe,
    protocol_metrics,
    with_suffix,
)
from handssl.evaluation.targets import from_columns
from handssl.execution.trial_files import encoder_file, labelled_store, named_trial
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.models import build_encoder
from handssl.pose import F_SCORES, OFFICIAL, PHALANX, PROTOCOLS, ROOT, encode_2_5d
from handssl.training.config import PretrainConfig
from handssl.training.kept_probe import write_probe
from handssl.training.weights import load_weights

_REPORTED: tuple[Split, ...] = ("select", "test", "evaluation")


@dataclass(frozen=True, eq=False)
class Probed:
    """Result of a fitted probe.

    Attributes:
        trial_id: Id of the encoder's trial.
        folder: Folder of the trial.
        probe_id: Id of this result.
        data: Data on which it was probed.
        columns: Predictions (N, 63) of every reported split.
        errors: Errors by split, then `<protocol>/<statistic>_<unit>`.
        chosen: Settings chosen on `select`, by name.
        kept: The probe, as it can be kept with the trial.
    """

    trial_id: str
    folder: Path
    probe_id: str
    data: StudyData
    columns: dict[Split, torch.Tensor]
    errors: dict[Split, dict[str, float]]
    chosen: dict[str, float]
    kept: KeptProbe


def probe_trial(
    name: str, storage: Path, store: Path | None, config: ProbeConfig | None = None
) -> Probed:
    """Fit a probe on a trial's encoder; features of untransformed images are kept in the storage.

    Args:
        name: Start of the trial's id.
        storage: Root of all results.
        store: Packed data, by folder, name or fingerprint; None: the trial's own.
        config: Configuration of the probe; default: head if the encoder has maps, else ridge.

    Raises:
        InputError: No trial or store, or more than one, has that name.
        DataError: The trial has no encoder, or it is damaged.
    """
    ledger = Ledger.existing(storage)
    record = named_trial(name, ledger)
    data = StudyData(
        _folder(record, storage) if store is None else named_store(store, storage).folder
    )
    trained = PretrainConfig.parse(record.config)
    encoder = build_encoder(trained.encoder)
    config = config or default_probe(encoder)
    load_weights(encoder, encoder_file(ledger.folder(record.trial_id)))
    view_px = trained.encoder.input_px
    features_of = FeatureCache(storage / "features")
    fitted, _ = fit_probe(encoder, data, view_px=view_px, config=config, features_of=features_of)
    splits = [name for name in _REPORTED if name in data.labelled.manifest.splits]
    columns = {
        split: fitted.predict(features_of(encoder, data.store(split), view_px=view_px))
        for split in splits
    }
    errors = {split: _errors(columns[split], data.store(split), config) for split in splits}
    name = probe_id(record.trial_id, data.labelled.manifest.fingerprint, config)
    kept = KeptProbe.of(
        fitted.read_out(), encoder, trained.encoder, data.store("probe"), probe=config.name
    )
    folder = ledger.folder(record.trial_id)
    return Probed(record.trial_id, folder, name, data, columns, errors, fitted.chosen(), kept)


def keep_probe(probed: Probed) -> Path:
    """Write a probe into its trial's folder, atomically; return its path.

    Raises:
        DataError: The file cannot be written.
    """
    return write_probe(probed.kept, probed.folder)


def default_kind(name: str, storage: Path) -> str:
    """Return the kind of probe by which a trial's encoder is compared.

    Args:
        name: Start of the trial's id.
        storage: Root of all results.
    """
    ledger = Ledger.existing(storage)
    record = named_trial(name, ledger)
    ledger.close()
    with torch.device("meta"):
        return default_probe(build_encoder(PretrainConfig.parse(record.config).encoder)).name


def _errors(columns: torch.Tensor, split: PackedSplit, config: ProbeConfig) -> dict[str, float]:
    """Return errors by protocol id, with the suffix of the probe's conditions."""
    found = protocol_metrics(columns, split, [*PROTOCOLS, *OFFICIAL])
    return with_suffix(found, config.suffix(split.manifest.boxes))


def export_freihand(probed: Probed, path: Path) -> dict[str, Any]:
    """Write the official prediction file of the evaluation images; return facts to print.

    Raises:
        InputError: The store has no evaluation split.
    """
    if "evaluation" not in probed.columns:
        raise InputError(
            f"{probed.data.folder}: expected a store with FreiHAND's evaluation images, found the "
            f"splits {', '.join(probed.data.labelled.manifest.splits)}; pack the evaluation release"
        )
    split = probed.data.store("evaluation")
    uv, z = from_columns(probed.columns["evaluation"].double())
    order = np.argsort(split.label("ids"))
    xyz, lost = freihand_predictions(
        crop_pixels(uv, split).numpy(),
        z.numpy(),
        split.label("camera"),
        np.linalg.norm(np.diff(split.label("xyz")[:, list(PHALANX)], axis=1)[:, 0], axis=-1),
        fallback_depth=_median_depth(probed.data.store("probe")),
    )
    write_freihand_predictions(path, xyz[order], count=len(xyz))
    return {
        "written": str(path),
        "hands": f"{len(xyz):,}"
        + ("" if len(xyz) == OFFICIAL_COUNT else f"; the official set has {OFFICIAL_COUNT:,}"),
        "fallback": f"{int(lost.sum())} hands without a recoverable root depth took the median "
        "depth of the split probe",
        **F_SCORES,
    }


def print_errors(probed: Probed) -> None:
    """Print a table of errors by split, and the scores that cannot be computed."""
    table = Table("protocol", "statistic", box=None, header_style="bold", pad_edge=False)
    for split in probed.errors:
        table.add_column(split, justify="right")
    for name in next(iter(probed.errors.values())):
        values = [errors.get(name) for errors in probed.errors.values()]
        shown = ["–" if value is None else f"{value:,.2f}" for value in values]
        table.add_row(*name.split("/"), *shown)
    for name, value in F_SCORES.items():
        table.add_row(name, value)
    for name, chosen in probed.chosen.items():
        table.add_row("chosen on select", name.replace("/", " "), f"{chosen:g}")
    Console(width=max(100, Console().width)).print(table)


def _folder(record: TrialRecord, storage: Path) -> Path:
    """Return the store of a trial's labels."""
    found = labelled_store(record, storage)
    if found is None:
        raise InputError(f"trial {record.trial_id}: name the packed data to probe on with --store")
    return found


def _median_depth(split: PackedSplit) -> float:
    xyz = split.label("xyz")[split.label("valid").all(axis=1)]
    pose = encode_2_5d(xyz, np.eye(3))
    return float(np.median(xyz[:, ROOT, 2] / pose.scale))
