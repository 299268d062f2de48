"""Parameters of a run: the settings that its numbers depend on, without unused defaults."""

from __future__ import annotations

from typing import Any

from handssl.ledger.record import TrialRecord
from handssl.ledger.references import reference_of
from handssl.objectives import ObjectiveName
from handssl.training.config import is_read
from handssl.transforms import TRANSFORMATIONS

# The heads of each objective.
_HEADS: dict[ObjectiveName, tuple[str, ...]] = {
    "contrastive": ("projection",),
    "relative": ("relative",),
    "mixed": ("projection", "relative"),
    "equivariant": ("projection",),
    "supervised": (),
}


def parameters_of(record: TrialRecord) -> dict[str, Any]:
    """Return the part of a record's configuration that determined its numbers.

    As in a trial's identity, transformations that are off and options that the objective does not
    read are left out; so are the sizes of heads that it does not have.

    Args:
        record: Record of a trial or a reference.

    Example:
        >>> values = {"composition": ["rotate"], "temperature": 0.5, "relative": {}, "epochs": 3}
        >>> record = TrialRecord(
        ...     trial_id="0" * 16, study="x", stage="y", cell="relative rotate", block=1, epochs=3,
        ...     composition="rotate", objective="relative", outcome="completed", config=values)
        >>> parameters_of(record)
        {'composition': ['rotate'], 'relative': {}, 'epochs': 3}
    """
    if record.objective == "reference":
        known = reference_of(record.cell)
        return known.read(record.config) if known else record.config
    return _of_trial(record.config, record.objective)


def _of_trial(config: dict[str, Any], objective: Any) -> dict[str, Any]:
    values = {name: value for name, value in config.items() if is_read(name, objective)}
    on = values.get("composition", ())
    if augmentation := values.get("augmentation"):
        off = {*TRANSFORMATIONS} - {*on}
        kept = {name: value for name, value in augmentation.items() if name not in off}
        # Records of numerics version 2 have the first name.
        listed = (*kept.pop("own", ()), *kept.pop("custom", ()))
        custom = [one for one in listed if one["name"] in on]
        if not any(kept.get("quirks", {}).values()):
            kept.pop("quirks", None)
        values["augmentation"] = kept | ({"custom": custom} if custom else {})
    if heads := values.get("heads"):
        has = _HEADS[objective]
        values["heads"] = {name: size for name, size in heads.items() if name.startswith(has)}
    return values
