"""Two hundred configurations of every kind, and the ids that their trials had.

    python -m tests.trial_ids

writes the ids of today into `tests/reference/trial_ids.json`. Results are found again by these ids:
they change with the version of the numerics alone.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handssl.ledger.references import UNTRAINED
from handssl.study.identity import NUMERICS_VERSION, trial_id
from handssl.training import PretrainConfig
from handssl.transforms import PAPER_SEVEN, TRANSFORMATIONS, AugmentConfig, Quirks
from tests import numerics

KEPT = Path(__file__).parent / "reference" / "trial_ids.json"
KINDS = ("trial", *(one.kind for one in UNTRAINED))
CUSTOM = ["tests.reference.custom:Darker", "tests.reference.custom:Mirrored"]
SEVEN = list(PAPER_SEVEN)
REGRESSED = ("translate", "rotate", "scale", "color_jitter")
SOME: dict[str, Any] = {"composition": SEVEN}
RANGES = {
    "translate": ("x_boxes", -0.1, 0.1),
    "rotate": ("angle_rad", -1.0, 1.0),
    "scale": ("log_factor", -0.2, 0.2),
    "color_jitter": ("hue_turns", -0.2, 0.2),
    "cutout": ("side_views", 0.2, 0.3),
    "noise": ("sigma", 0.01, 0.05),
    "blur": ("sigma_views", 0.001, 0.01),
}
OPTIMIZERS: dict[str, list[dict[str, Any]]] = {
    "adam": [{}, {"betas": [0.8, 0.99]}, {"eps": 1e-6}],
    "adam_larc": [{}, {"trust_coefficient": 0.01}],
    "lars": [{}, {"preset": "large_batch"}, {"momentum": 0.8}, {"lr_base": 0.1}],
    "lamb": [{}, {"weight_decay": 1e-2}, {"eps": 1e-7}],
}
VALUES: dict[str, list[Any]] = {
    "seed": [0, 2, 3, 2**31 - 1],
    "epochs": [11, 20, 1000],
    "global_batch": [64, 8192],
    "accumulation": [2, 8],
    "batch_norm": ["local"],
    "temperature": [0.07, 1.0],
    "encoder": [
        {"width": 8, "input_px": 32},
        {"width": 16},
        {"name": "tests.reference.custom:linear_encoder"},
    ],
    "heads": [{"projection_hidden": 16}, {"projection_out": 64}, {"relative_hidden": 8}],
}


def configurations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the fields of every configuration, the same in every process."""
    yield "defaults", {}
    yield from _objectives()
    yield from _transformations()
    yield from _training()
    yield from _custom()


def _objectives() -> Iterator[tuple[str, dict[str, Any]]]:
    for objective, size in itertools.product(("contrastive", "supervised"), (1, 2)):
        for chosen in itertools.combinations(TRANSFORMATIONS, size):
            fields = {"objective": objective, "composition": list(chosen)}
            yield f"{objective} {'+'.join(chosen)}", fields
    for size in (1, 2, 3, 4):
        for chosen in itertools.combinations(REGRESSED, size):
            fields = {"objective": "relative", "composition": list(chosen)}
            yield f"relative {'+'.join(chosen)}", fields
    for name in ("translate", "rotate"):
        yield f"equivariant {name}", {"objective": "equivariant", "composition": [name, "blur"]}
    published = {"inversion": "published"}
    undone = {"objective": "equivariant", "composition": ["rotate"], "equivariant": published}
    yield "equivariant, published", undone
    both = {"composition": list(REGRESSED)}
    for options in (
        {"norm": "l2"},
        {"order": "one"},
        {"weighting": "fixed"},
        {"weighting": "learned_from_loss"},
        {"weighting": "log_sum"},
        {"targets": "between_views"},
        {"targets": "published", "order": "one"},
    ):
        yield f"relative {options}", {**both, "objective": "relative", "relative": options}
    for chosen in itertools.combinations(REGRESSED, 2):
        mixed = {**both, "objective": "mixed", "relative_on": list(chosen)}
        yield f"mixed {'+'.join(chosen)}", mixed
        yield f"mixed, split {'+'.join(chosen)}", {**mixed, "mixed": "split"}
    mixed = {**both, "objective": "mixed", "relative_on": ["rotate"]}
    for weighting in ("fixed", "learned_from_loss", "log_sum"):
        yield f"mixed, weight {weighting}", {**mixed, "contrastive_weight": weighting}
    yield "mixed, unequal views", {**mixed, "mixed": "split", "equal_views": False}


def _transformations() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in TRANSFORMATIONS:
        augmentation = {name: {"probability": 0.25}}
        yield f"probability of {name}", {"composition": [name], "augmentation": augmentation}
        yield f"{name} off", {"composition": [], "augmentation": augmentation}
    for name, (field, low, high) in RANGES.items():
        augmentation = {name: {field: {"low": low, "high": high}}}
        yield f"range of {name}", {"composition": [name], "augmentation": augmentation}
    for option in ({"resampling": "double"}, {"view_blur_px": 1.0}):
        yield f"augmentation {option}", {**SOME, "augmentation": option}
    for border in ("disc", "black"):
        yield f"border {border}", {**SOME, "augmentation": {"border": border}}
    for quirk in Quirks.model_fields:
        yield f"quirk {quirk}", {**SOME, "augmentation": {"quirks": {quirk: True}}}
    code = AugmentConfig.preset("paper_code").model_dump(mode="json")
    yield "as the published code", {**SOME, "augmentation": code}


def _training() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, options in OPTIMIZERS.items():
        for option in options:
            yield f"{name} {option}", {**SOME, "optimizer": {"name": name, **option}}
    for schedule in ({"schedule": "wsd"}, {"schedule": "wsd", "decay_share": 0.2}):
        yield f"{schedule}", {**SOME, "optimizer": schedule}
    for options in ({"warmup_epochs": 0}, {"masks": "published"}, {"lr_base": 1e-3}):
        yield f"optimizer {options}", {**SOME, "optimizer": options}
    for field, values in VALUES.items():
        for value in values:
            yield f"{field} {value}", {**SOME, field: value}


def _custom() -> Iterator[tuple[str, dict[str, Any]]]:
    augmentation = {"custom": CUSTOM}
    for chosen in (["darker"], ["mirrored"], ["darker", "mirrored"], ["rotate", "darker"]):
        fields = {"composition": chosen, "augmentation": augmentation}
        yield f"custom {'+'.join(chosen)}", fields
    relative = {"objective": "relative", "composition": ["darker"], "augmentation": augmentation}
    yield "custom, relative", relative
    mixed = {"objective": "mixed", "composition": ["darker", "rotate"], "relative_on": ["darker"]}
    yield "custom, mixed", {**mixed, "augmentation": augmentation}
    yield "custom, off", {"composition": ["rotate"], "augmentation": augmentation}


def ids() -> dict[str, str]:
    """Return the id of every configuration as a trial, and of some as references."""
    found = {}
    for number, (name, fields) in enumerate(configurations()):
        config = PretrainConfig.parse(fields)
        # Kinds and data take turns, so that every one meets many configurations.
        kind, data = KINDS[number % 7 % len(KINDS)], f"{number % 3:032x}"
        found[name] = trial_id(config, data, kind=kind)
    return found


def main() -> None:
    """Write the ids of new configurations, and of all if the version of the numerics changed."""
    kept, now = json.loads(KEPT.read_text(encoding="utf-8")), ids()
    changed = [name for name, value in kept.items() if now.get(name) != value]
    if changed and json.loads(numerics.KEPT.read_text())["version"] == NUMERICS_VERSION:
        sys.exit(
            f"{len(changed)} kept ids changed, e.g. {changed[0]}: increase NUMERICS_VERSION in "
            "handssl/study/identity.py before they are written; python -m tests.numerics is next"
        )
    KEPT.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
