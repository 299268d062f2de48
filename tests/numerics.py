"""Small trials that touch every formula, and what they gave under a version of the numerics.

    python -m tests.numerics

writes what they give now into `tests/reference/numerics.json`, with the version that
`handssl/study/identity.py` names.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from handssl.data.packing import pack
from handssl.data.splits import StudyData
from handssl.evaluation import evaluate_predictions
from handssl.evaluation.config import ProbeConfig
from handssl.evaluation.probe import fit_probe
from handssl.models import build_encoder
from handssl.study.identity import NUMERICS_VERSION
from handssl.training import Execution, PretrainConfig, Pretraining, Trial
from handssl.training.weights import load_weights
from handssl.transforms import PAPER_SEVEN, TRANSFORMATIONS, Quirks
from tests.conftest import BlobHands

KEPT = Path(__file__).parent / "reference" / "numerics.json"
BASE = {
    "composition": ["color_jitter", "rotate", "translate"],
    "epochs": 3,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 16, "projection_out": 8, "relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1},
}
MIXED = {"objective": "mixed", "relative_on": ["rotate", "translate"]}
QUIRKS = dict.fromkeys(Quirks.model_fields, True)


def _with_optimizer(name: str, **options: object) -> dict[str, object]:
    return {"optimizer": {"warmup_epochs": 1, "name": name, **options}}


CASES: dict[str, dict[str, object]] = {
    "contrastive": {"objective": "contrastive"},
    "relative": {"objective": "relative"},
    "relative, fixed weights, squares": {
        "objective": "relative",
        "relative": {"weighting": "fixed", "norm": "l2"},
    },
    "relative, as published": {
        "objective": "relative",
        "relative": {"targets": "published", "order": "one"},
    },
    "mixed, split": {**MIXED, "mixed": "split"},
    "mixed, joint": {**MIXED, "mixed": "joint"},
    "mixed, sum of logarithms": {
        **MIXED,
        "relative": {"weighting": "log_sum"},
        "contrastive_weight": "log_sum",
    },
    "relative, weights from the loss, between views": {
        "objective": "relative",
        "relative": {"weighting": "learned_from_loss", "targets": "between_views"},
    },
    "resampled twice": {
        "objective": "relative",
        "composition": ["rotate"],
        "augmentation": {"resampling": "double"},
    },
    "blurred views": {"objective": "relative", "augmentation": {"view_blur_px": 1.0}},
    "equivariant": {"objective": "equivariant"},
    "equivariant, as published": {
        "objective": "equivariant",
        "equivariant": {"inversion": "published"},
    },
    "supervised": {"objective": "supervised"},
    "accumulated": {"accumulation": 2},
    "another seed": {"seed": 2},
    **{f"contrastive {name}": {"composition": [name]} for name in TRANSFORMATIONS},
    "all but scale": {"composition": [name for name in TRANSFORMATIONS if name != "scale"]},
    "quirks": {"composition": PAPER_SEVEN, "augmentation": {"quirks": QUIRKS}},
    "adam": _with_optimizer("adam"),
    "lars": _with_optimizer("lars"),
    "lamb": _with_optimizer("lamb"),
    "wsd": _with_optimizer("adam_larc", schedule="wsd"),
}
PROBES = {
    "sgd": ProbeConfig(name="sgd", epochs=5),
    "augmented": ProbeConfig(augmentation="geometric", views=2),
}


def config_of(case: str) -> PretrainConfig:
    """Return the configuration of a case."""
    return PretrainConfig.parse({**BASE, **CASES[case]})


def values_of(case: str, data: Path, folder: Path) -> dict[str, float]:
    """Run a case; return the metrics of its last epoch and how far its encoder has moved."""
    execution = Execution(device="cpu", precision="float64")
    config = config_of(case)
    start = Pretraining(config, StudyData(data), execution).encoder
    *_, last = Trial(config, data, folder, execution=execution).epochs()
    end = build_encoder(config.encoder).double()
    load_weights(end, folder / "encoder.safetensors")
    pairs = zip(start.parameters(), end.parameters(), strict=True)
    with torch.no_grad():
        moved = float(torch.stack([(a - b).square().sum() for a, b in pairs]).sum().sqrt())
    found = last.metrics | {"moved": moved}
    # Diagnostics read the encoder and change nothing: one case tells of them all.
    left_out = ("time/",) if case == "contrastive" else ("time/", "diag/")
    return {
        name: value
        for name, value in found.items()
        if not name.startswith(left_out) and not name.endswith("_s")
    }


def probe_values(data: Path) -> dict[str, float]:
    """Return what the probes give on an encoder that was not trained."""
    split, execution = StudyData(data), Execution(device="cpu")
    encoder = Pretraining(config_of("contrastive"), split, execution).encoder
    found = {}
    for name, config in PROBES.items():
        probe, selected = fit_probe(encoder, split, view_px=32, config=config)
        predicted = {"select": probe.predict(selected)}
        metrics = evaluate_predictions(predicted, split, prefix=name)
        found |= metrics
    return found


def main() -> None:
    """Write what the cases give now."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = pack(BlobHands(), Path(folder) / "store", crop_px=56, context=1.75).folder
        now = {case: values_of(case, data, Path(folder) / case) for case in CASES}
        now["probes"] = probe_values(data)
    rounded = {
        case: {name: float(f"{value:.9g}") for name, value in values.items()}
        for case, values in now.items()
    }
    content = {"version": NUMERICS_VERSION, "cases": rounded}
    KEPT.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
